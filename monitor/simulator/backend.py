"""JOB itself, behind the bus or the gateway: asks an endpoint and wraps its words."""

from monitor.simulator import envelope
from monitor.simulator.answer import Answer
from monitor.simulator.endpoints import Endpoint
from monitor.simulator.envelope import Told
from monitor.simulator.faults import Fault
from monitor.simulator.question import Question
from monitor.simulator.refusal import Refused
from monitor.simulator.world import World


def answer(world: World, question: Question, endpoint: Endpoint) -> Answer:
    try:
        told = endpoint.tell(world, question)
    except Refused as refused:
        return refuse(world, question, endpoint, refused)
    if isinstance(told, Told):
        return envelope.success(world, told, endpoint.generation, endpoint.door)
    return told


def weather(world: World, question: Question) -> tuple[Fault, ...]:
    """Draw the faults that hit *question*."""
    key = question.key
    return world.striking(world.find(*key) if key else None)


def refuse(
    world: World, question: Question, endpoint: Endpoint, refused: Refused
) -> Answer:
    return envelope.refusal(
        world, refused, language(world, question), endpoint.generation, endpoint.door
    )


def language(world: World, question: Question) -> str:
    # The header Blueking-Language (bk-job AddEsbLangHeaderGatewayFilterFactory).
    return question.language or world.language
