"""Which scope and instance a question is about, and whether they may be seen.

All checks that JOB makes of every call that names an instance, in its order.
"""

from monitor.simulator.envelope import Generation
from monitor.simulator.instance import Instance
from monitor.simulator.question import SCOPE_TYPES, Question, Scope
from monitor.simulator.refusal import Refused, forbidden
from monitor.simulator.timeline import Moment, Step
from monitor.simulator.wording import numbered
from monitor.simulator.world import World


def asked(world: World, question: Question, generation: Generation) -> Instance:
    """Find the instance that *question* is about.

    Raises:
        Refused: nobody can tell which is meant, or it may not be seen, or it is
            not there.
    """
    scope = scoped(question, generation)
    identifier = question.number("job_instance_id")
    if identifier is None or identifier < 1:
        raise Refused(1241007)
    if scope.number in world.forbidden:
        raise forbidden(scope)
    # TaskInstanceServiceImpl: one code for unknown, archived and another business's.
    instance = None
    if world.tenant in {None, question.tenant}:
        instance = world.find(scope.number, identifier, kind=scope.kind)
    if instance is None:
        raise Refused(1244006)
    return instance


def present(world: World, instance: Instance) -> Moment:
    """Say how things stand.

    Raises:
        Refused: *instance* is archived, or has no state.
    """
    moment = instance.moment(world.now())
    if moment is None:
        raise Refused(1244006)
    return moment


def step_asked(
    world: World, instance: Instance, question: Question
) -> tuple[Step, int]:
    """Find the step that *question* is about, and its id.

    Raises:
        Refused: it names none, or one of another instance.
    """
    identifier = question.number("step_instance_id")
    if identifier is None or identifier < 1:
        raise Refused(1241007)
    moment = present(world, instance)
    for step, known in numbered(instance.job_instance_id, moment):
        if known == identifier:
            return step, identifier
    raise Refused(1244007)


def scoped(question: Question, generation: Generation) -> Scope:
    """Read the scope.

    Raises:
        Refused: there is none; or, in v4, it is not named by type and id.
    """
    kind = question.text("bk_scope_type")
    if generation is Generation.V4 and kind not in SCOPE_TYPES:
        raise Refused(1241025)
    # v4 does not accept bk_biz_id.
    named = generation is not Generation.V4 or question.text("bk_scope_id")
    scope = question.scope
    if scope is None or not named or scope.kind not in SCOPE_TYPES:
        raise Refused(1241007)
    return scope
