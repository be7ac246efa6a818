"""The bus, as a caller of v2 and v3 meets it: its checks, limits and errors.

No sockets: a question in, an `Answer` out. What JOB or the bus refuses is HTTP
200 with ``result`` false; only proxies and page errors use the status line.
"""

from collections.abc import Iterable
from typing import Final

from monitor.simulator import backend, credentials, faults
from monitor.simulator.answer import Answer
from monitor.simulator.endpoints import STATUS_V2, Endpoint
from monitor.simulator.envelope import bus_says
from monitor.simulator.faults import Fault, Name
from monitor.simulator.question import Question
from monitor.simulator.refusal import Refused
from monitor.simulator.world import World

__all__ = ["STATUS", "Question", "answer"]

STATUS: Final = STATUS_V2.path

# esb/bkauth/validators.py of the bus. The last one does not say "authentication".
_BAD_TOKEN = "User authentication failed, please check if the bk_token is valid"  # noqa: S105
_NO_USER = (
    "User authentication failed, please provide a valid user identity, "
    "such as bk_username, bk_token, access_token"
)
_EXPIRED = {
    "token": _BAD_TOKEN,
    "access_token": "The specified user TOKEN [bk_access_token] has expired, "
    "please apply for authorization again",
}


def answer(world: World, question: Question, endpoint: Endpoint = STATUS_V2) -> Answer:
    """Answer *question* as JOB would, and as the weather lets it through."""
    striking = backend.weather(world, question)
    said = (
        _refused_by(striking, world, question, endpoint)
        or _stranger(world, question)
        or _excess(world, question, endpoint)
        or backend.answer(world, question, endpoint)
    )
    return faults.spoil(said, striking)


def _refused_by(
    striking: Iterable[Fault], world: World, question: Question, endpoint: Endpoint
) -> Answer | None:
    for fault in striking:
        match fault.name:
            case Name.THROTTLE:
                limit = "1000/1minute"
                return _refuse(world, 1306429, _too_often(question, endpoint, limit))
            case Name.EXPIRED:
                return _refuse(world, 1306000, _EXPIRED[fault.choice])
            case Name.INTERNAL_ERROR:
                return backend.refuse(world, question, endpoint, Refused(1240002))
    return None


def _too_often(question: Question, endpoint: Endpoint, limit: str) -> str:
    # esb/ratelimit/validators.py
    return (
        "Access frequency limit, "
        f"Access frequency of APP [{_app(question)}] to component "
        f"[{endpoint.component}] exceeds the limit; the frequency limit is "
        f"[{limit}], please try again later"
    )


def _stranger(world: World, question: Question) -> Answer | None:
    if world.credentials is None:
        return None
    given = credentials.offered(question.parameters, question.authorization)
    if credentials.satisfied(world.credentials, given):
        return None
    anybody = given.username or given.token or given.access_token
    return _refuse(world, 1306000, _BAD_TOKEN if anybody else _NO_USER)


def _excess(world: World, question: Question, endpoint: Endpoint) -> Answer | None:
    quota, ration = world.quota, world.ration(_app(question))
    if quota is None or ration is None or ration.granted:
        return None
    minutes, rest = divmod(quota.window, 60)
    span = f"{quota.window:g}second" if rest else f"{minutes:g}minute"
    limit = f"{quota.limit}/{span}"
    return _refuse(world, 1306429, _too_often(question, endpoint, limit))


def _app(question: Question) -> str:
    given = credentials.offered(question.parameters, question.authorization)
    return given.app_code or ""


def _refuse(world: World, code: int, message: str) -> Answer:
    return bus_says(world, result=False, code=code, message=message)
