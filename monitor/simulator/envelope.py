"""How JOB wraps what it has to say, by generation: successes and refusals.

The bus adds to what JOB sent; the gateway passes it on. Bytes out, no checks.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from monitor.simulator.answer import JSON, Answer
from monitor.simulator.refusal import Refused
from monitor.simulator.story import Flavour
from monitor.simulator.world import World


class Generation(StrEnum):
    V2 = "v2"
    V3 = "v3"
    V4 = "v4"


class Door(StrEnum):
    """Through what a client reaches JOB."""

    ESB = "esb"
    GATEWAY = "gateway"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A success: the ``data``, in JSON."""

    data: bytes
    flavour: Flavour = Flavour.MODERN
    stringly: bool = False


# bk-job EsbV4RespError and the i18n of each code's error type; what is not here
# is an internal error to v4.
_V4_NAMES: Final = {
    1240003: (400, "INVALID_ARGUMENT"),
    1241003: (400, "INVALID_ARGUMENT"),
    1241007: (400, "INVALID_ARGUMENT"),
    1241025: (400, "INVALID_ARGUMENT"),
    1244006: (404, "NOT_FOUND"),
    1244007: (404, "NOT_FOUND"),
    9900403: (403, "NO_PERMISSION"),
}


def success(world: World, told: Told, generation: Generation, door: Door) -> Answer:
    if door is Door.ESB:
        return Answer(body=_through_the_bus(world, told))
    identifier = request_id(world)
    if generation is Generation.V4:
        shape = b'{"data":%b,"job_request_id":"%b"}'
        body = shape % (told.data, identifier)
    else:
        shape = b'{"code":%b,"result":true,"job_request_id":"%b","data":%b}'
        body = shape % (_zero(told), identifier, told.data)
    return _identified(Answer(body=body), identifier)


def _through_the_bus(world: World, told: Told) -> bytes:
    # The bus adds message and request_id (esb/channel/base.py); the document's
    # example knows nothing of job_request_id.
    ours = (
        b""
        if told.flavour is Flavour.DOCUMENT
        else b',"job_request_id":"%b"' % request_id(world)
    )
    return b'{"result":true,"code":%b,"message":"","request_id":"%b"%b,"data":%b}' % (
        _zero(told),
        request_id(world),
        ours,
        told.data,
    )


def _zero(told: Told) -> bytes:
    return b'"0"' if told.stringly else b"0"


def refusal(
    world: World, refused: Refused, language: str, generation: Generation, door: Door
) -> Answer:
    identifier = request_id(world)
    message = refused.text(language)
    if generation is Generation.V4:
        answer = _v4_refusal(refused, message, identifier)
        return _identified(answer, identifier)
    # EsbExceptionControllerAdvice: HTTP 200 whatever happened, nulls left out.
    said: dict[str, Any] = {
        "result": False,
        "code": refused.code,
        "message": message,
        "job_request_id": identifier.decode(),
    }
    if refused.permission is not None:
        said["permission"] = refused.permission
    if door is Door.ESB:
        return bus_says(world, **said)
    return _identified(Answer(body=msgspec.json.encode(said)), identifier)


def bus_says(world: World, **said: Any) -> Answer:
    """Let the bus fill up what it was told, or has to tell itself."""
    filled = {"data": None, "request_id": request_id(world).decode(), **said}
    return Answer(body=msgspec.json.encode(filled))


def _v4_refusal(refused: Refused, message: str, identifier: bytes) -> Answer:
    status, name = _V4_NAMES.get(refused.code, (500, "INTERNAL"))
    error: dict[str, Any] = {"code": name, "message": message}
    if refused.permission is not None:
        error["data"] = refused.permission
    # Undocumented, but sent: JOB's own code, as a string (EsbV4RespError.java).
    error["details"] = [{"code": str(refused.code), "message": message}]
    said = {"error": error, "job_request_id": identifier.decode()}
    return Answer(status=status, body=msgspec.json.encode(said))


def nobody(world: World, language: str) -> Answer:
    """Refuse a call without a user: job-gateway's own words, in every generation."""
    # bk-job CheckOpenApiJwtGatewayFilterFactory
    identifier = request_id(world)
    said = {
        "result": False,
        "code": 1247002,
        "message": Refused(1247002).text(language),
        "job_request_id": identifier.decode(),
    }
    answer = Answer(status=401, body=msgspec.json.encode(said))
    return _identified(answer, identifier)


def _identified(answer: Answer, identifier: bytes) -> Answer:
    headers = {**JSON, "X-Bk-Job-Request-Id": identifier.decode()}
    return replace(answer, headers=headers)


def request_id(world: World) -> bytes:
    return b"%032x" % world.luck.getrandbits(128)
