"""The API gateway before JOB's v3 and v4: its checks, limits and errors.

No sockets: a question in, an `Answer` out. The gateway means what its status
line says, and puts its code into a header and a body of its own shape.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from monitor.simulator import backend, credentials, envelope, faults
from monitor.simulator.answer import JSON, Answer
from monitor.simulator.credentials import Credentials
from monitor.simulator.endpoints import Endpoint
from monitor.simulator.faults import Fault, Name
from monitor.simulator.question import Question
from monitor.simulator.refusal import Refused
from monitor.simulator.world import World

# blueking-apigateway-apisix, plugins/bk-core/errorx.lua
_NAMES: Final = {
    1640001: (400, "INVALID_ARGS"),
    1640401: (404, "API_NOT_FOUND"),
    1642902: (429, "RATE_LIMIT_RESTRICTION"),
    1650001: (500, "INTERNAL_SERVER_ERROR"),
    1650200: (502, "BAD_GATEWAY"),
    1650300: (503, "SERVICE_UNAVAILABLE"),
    1650401: (504, "REQUEST_BACKEND_TIMEOUT"),
}
_BREAKDOWNS: Final = {
    "500": (1650001, "Internal Server Error"),
    "502": (1650200, "Bad Gateway"),
    "503": (1650300, "Service Unavailable"),
    "504": (
        1650401,
        'Request backend service timeout [upstream_error="cannot read header"]',
    ),
}

_NO_APP = "app code cannot be empty"
_WRONG_APP = "bk_app_code or bk_app_secret is incorrect"
_NO_USER = (
    "user authentication failed, please provide a valid user identity, "
    "such as bk_username, bk_token, access_token"
)
_BAD_ACCESS_TOKEN = (
    "access_token is invalid, url: /api/v1/auth/access-tokens/verify, code: 403"  # noqa: S105
)
_EXPIRED: Final = {"token": _NO_USER, "access_token": _BAD_ACCESS_TOKEN}


def answer(world: World, question: Question, endpoint: Endpoint) -> Answer:
    """Answer *question* as the gateway would, and as the weather lets it through."""
    striking = backend.weather(world, question)
    said = (
        _refused_by(striking, world, question, endpoint)
        or _stranger(world, question, endpoint)
        or _rationed(world, question, endpoint)
    )
    mute = (fault for fault in striking if not _is_worded(fault))
    return faults.spoil(_identified(world, said), mute)


def no_api(world: World, method: str, path: str) -> Answer:
    """Refuse a path or method that is not published."""
    message = f'API not found [method="{method}" path="{path}"]'
    return _identified(world, refuse(1640401, message))


def refuse(code: int, message: str, more: Mapping[str, str] | None = None) -> Answer:
    status, name = _NAMES[code]
    said = {
        "code": code,
        "code_name": name,
        "message": message,
        "result": False,
        "data": None,
    }
    headers = {
        **JSON,
        "X-Bkapi-Error-Code": str(code),
        "X-Bkapi-Error-Message": message,
        **(more or {}),
    }
    return Answer(status=status, headers=headers, body=msgspec.json.encode(said))


def _is_worded(fault: Fault) -> bool:
    # An error without a body comes from what stands before the gateway.
    return fault.name is Name.SERVER_ERROR and fault.choice in _BREAKDOWNS


def _refused_by(
    striking: Iterable[Fault], world: World, question: Question, endpoint: Endpoint
) -> Answer | None:
    for fault in striking:
        match fault.name:
            case Name.THROTTLE:
                return _throttled(limit=100, reset=1)
            case Name.EXPIRED:
                return _illegal(_EXPIRED[fault.choice])
            case Name.INTERNAL_ERROR:
                return backend.refuse(world, question, endpoint, Refused(1240002))
            case Name.SERVER_ERROR if _is_worded(fault):
                return refuse(*_BREAKDOWNS[fault.choice])
    return None


def _rationed(world: World, question: Question, endpoint: Endpoint) -> Answer:
    app = credentials.offered({}, question.authorization).app_code
    ration = world.ration(app or "")
    if ration is None:
        return _said_by_job(world, question, endpoint)
    if not ration.granted:
        return _throttled(limit=ration.limit, reset=ration.reset)
    # show_limit_quota_header is on by default, so answers of JOB have it too.
    said = _said_by_job(world, question, endpoint)
    told = _quota_headers(ration.limit, ration.remaining, ration.reset)
    return replace(said, headers={**said.headers, **told})


def _throttled(*, limit: int, reset: int) -> Answer:
    message = "API rate limit exceeded by stage strategy"
    return refuse(1642902, message, _quota_headers(limit, 0, reset))


def _quota_headers(limit: int, remaining: int, reset: int) -> dict[str, str]:
    # bk-rate-limit/init.lua; Reset is what is left of the window, in seconds.
    return {
        "X-Bkapi-RateLimit-Limit": str(limit),
        "X-Bkapi-RateLimit-Remaining": str(remaining),
        "X-Bkapi-RateLimit-Reset": str(reset),
        "X-Bkapi-RateLimit-Plugin": "bk-stage-rate-limit",
    }


def _illegal(reason: str) -> Answer:
    return refuse(1640001, f'Parameters error [reason="{reason}"]')


def _stranger(world: World, question: Question, endpoint: Endpoint) -> Answer | None:
    if world.credentials is None:
        return None
    # definition.yaml: allow_auth_from_params is false, so the header alone counts.
    given = credentials.offered({}, question.authorization)
    wanted = world.credentials
    if not (given.app_code or given.access_token):
        return _illegal(_NO_APP)
    if not credentials.satisfied(_of_app(wanted), given):
        return _illegal(_WRONG_APP if given.app_code else _BAD_ACCESS_TOKEN)
    # resources.yaml: userVerifiedRequired is false on /system/ paths.
    if endpoint.system or credentials.satisfied(wanted, given):
        return None
    return _illegal(_BAD_ACCESS_TOKEN if given.access_token else _NO_USER)


def _of_app(wanted: Credentials) -> Credentials:
    return replace(wanted, username=None, token=None)


def _said_by_job(world: World, question: Question, endpoint: Endpoint) -> Answer:
    if world.tenant is not None and question.tenant is None:
        # bk-job CheckTenantGatewayFilterFactory: no body at all.
        return Answer(status=401, body=b"")
    if endpoint.system and not _user(question):
        return envelope.nobody(world, backend.language(world, question))
    return backend.answer(world, question, endpoint)


def _user(question: Question) -> str | None:
    # bk-job CheckOpenApiJwtGatewayFilterFactory: X-Bk-Username wins over the JWT,
    # and a token stands for a user.
    given = credentials.offered({}, question.authorization)
    return question.username or given.username or given.token or given.access_token


def _identified(world: World, said: Answer) -> Answer:
    identifier = envelope.request_id(world).decode()
    return replace(said, headers={**said.headers, "X-Bkapi-Request-Id": identifier})
