"""The envelope around every answer: who speaks, and is it good news?

Either ``data`` comes out untouched, or the error that the answer declares is
raised as the ``errors`` class of its remedy. Nothing but a ``SourceError`` is
ever raised, whatever the bytes are. All generations of the API share this.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.job import hint, text, verdict
from monitor.job.verdict import Verdict

Headers = Mapping[str, str]
"""Looked up without regard to case, as aiohttp's headers are."""

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises on bad JSON, on deep nesting and on bad UTF-8."""

_NULL: Final = Raw(b"null")
_ID_LENGTH: Final = 64
_PLACES: Final = 9
_DIGITS: Final = re.compile(rf"[0-9]{{1,{_PLACES}}}")
_START: Final = re.compile(
    rb'\s*\{\s*"(result|code|code_name|message|data|error|permission|(job_)?request_id)"'
)


class _Fault(Struct):
    """The ``error`` of a v4 answer; its numeric code comes as a string.

    Source: bk-job EsbV4RespError.java, read 2026-11.
    """

    code: Any = ""
    message: Any = ""
    data: Raw = _NULL
    details: Any = None


class _Action(Struct):
    id: str


class _Permission(Struct):
    actions: list[_Action]


class _Envelope(Struct):
    """Everything is optional: which parts are there tells who speaks."""

    result: Any = None
    code: Any = None
    code_name: Any = None
    message: Any = None
    data: Raw = _NULL
    error: Raw = _NULL
    permission: Raw = _NULL
    request_id: Any = None
    job_request_id: Any = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_FAULT: Final = msgspec.json.Decoder(_Fault)
_PERMISSION: Final = msgspec.json.Decoder(_Permission)


def unwrap(status: int, headers: Headers, body: bytes) -> Raw:
    """Return ``data`` as it came, or raise what the answer declares."""
    try:
        envelope = _ENVELOPE.decode(body)
    except UNREADABLE:
        torn = _START.match(body) is not None
        raise _unreadable(status, headers, body, torn=torn) from None

    if status == 200 and _good(envelope) and "X-Bkapi-Error-Code" not in headers:
        return envelope.data

    fault = _fault(envelope.error)
    if not (_recognised(envelope) or fault or "X-Bkapi-Error-Code" in headers):
        raise _unreadable(status, headers, body, torn=False)

    raise _declared(status, headers, envelope, fault or _Fault())


def _good(envelope: _Envelope) -> bool:
    # A v4 answer has neither result nor code.
    declared = (envelope.result, envelope.code, envelope.job_request_id)
    return (
        envelope.result is not False
        and (envelope.code in (None, "") or _number(envelope.code) == 0)
        and envelope.code_name is None
        and bytes(envelope.error) == b"null"
        and any(part is not None for part in declared)
    )


def _recognised(envelope: _Envelope) -> bool:
    signs = (
        envelope.result,
        envelope.code,
        envelope.code_name,
        envelope.job_request_id,
    )
    return any(sign is not None for sign in signs)


def _fault(error: Raw) -> _Fault | None:
    try:
        return _FAULT.decode(error)
    except UNREADABLE:
        return None


def _declared(
    status: int, headers: Headers, envelope: _Envelope, fault: _Fault
) -> errors.SourceError:
    code = _number(envelope.code) or _number(headers.get("X-Bkapi-Error-Code"))
    code = code or _detail(fault.details)
    words = _words(envelope.message or fault.message)
    found = verdict.judge(status, code, name=str(fault.code), text=words)
    if code is None and status == 404 and not fault.code:
        # The 404 page of the ESB's web framework looks like JOB's envelope.
        # Source: legacy-bk-paas esb/channel/base.py, read 2026-11.
        found = Verdict.MISPLACED

    if found is Verdict.FORBIDDEN:
        needed = _actions(envelope.permission) or _actions(fault.data)
        words = f"{words} {needed}".strip()

    label = " ".join(filter(None, (_speaker(headers, envelope, code), _label(code))))
    return _error(
        found, f"{label}, HTTP {status}: {words}", headers, _ids(headers, envelope)
    )


def _detail(details: object) -> int | None:
    first = details[0] if isinstance(details, list) and details else None
    return _number(first.get("code")) if isinstance(first, dict) else None


def _unreadable(
    status: int, headers: Headers, body: bytes, *, torn: bool
) -> errors.SourceError:
    excerpt = _words(body[:1024].decode("utf-8", "replace")) or "(empty)"
    # The gateway repeats its code in a header, which an empty body cannot hide.
    code = _number(headers.get("X-Bkapi-Error-Code"))
    found = verdict.judge(status, code) if code else verdict.by_status(status)
    if status >= 500:
        found = Verdict.UNAVAILABLE

    ids = _ids(headers, _Envelope())
    if found:
        label = " ".join(filter(None, ("gateway" if code else "", _label(code))))
        return _error(found, f"{label} HTTP {status}: {excerpt}".strip(), headers, ids)

    return errors.Garbled(
        f"HTTP {status}, {'a torn' if torn else 'not a JOB'} answer: {excerpt}",
        whole_source=not torn,
        request_ids=ids,
    )


def _error(
    found: Verdict, message: str, headers: Headers, ids: str
) -> errors.SourceError:
    match found:
        case Verdict.UNAVAILABLE:
            return errors.Unavailable(message, request_ids=ids)
        case Verdict.THROTTLED:
            return _throttled(message, headers, ids)
        case Verdict.REFUSED:
            return errors.Refused(message, request_ids=ids)
        case Verdict.FORBIDDEN:
            return errors.Forbidden(message, request_ids=ids)
        case Verdict.MISSING:
            return errors.Missing(message, request_ids=ids)
        case Verdict.BAD_REQUEST | Verdict.MISPLACED:
            whole = found is Verdict.MISPLACED
            return errors.Garbled(message, whole_source=whole, request_ids=ids)


def _throttled(message: str, headers: Headers, ids: str) -> errors.Throttled:
    said, floor = hint.frequency(message), hint.retry_after(headers)
    return errors.Throttled(
        message,
        retry_after=said.pause if said and floor is None else floor,
        borne=said.limit / said.window if said else None,
        request_ids=ids,
    )


def _number(value: object) -> int | None:
    # The legacy ESB mixes numbers and strings in one table.
    # Source: legacy-bk-paas common/bkerrors.py, read 2026-11.
    if isinstance(value, str):
        value = value.strip()
        return int(value) if _DIGITS.fullmatch(value) else None

    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 10**_PLACES else None

    return None


def _label(code: int | None) -> str:
    return "" if code is None else str(code)


def _speaker(headers: Headers, envelope: _Envelope, code: int | None) -> str:
    if envelope.code_name is not None or "X-Bkapi-Error-Code" in headers:
        return "gateway"
    if envelope.job_request_id is not None:
        return "JOB"
    if envelope.request_id is not None or 1306000 <= (code or 0) < 1307000:
        return "ESB"
    return "unknown speaker"


def _words(value: object) -> str:
    return text.plain(value, errors.EXCERPT) if isinstance(value, str) else ""


def _actions(payload: Raw) -> str:
    try:
        permission = _PERMISSION.decode(payload)
    except UNREADABLE:
        return ""

    actions = ", ".join(action.id for action in permission.actions[:4])
    return text.plain(f"(needs {actions})", 128) if actions else ""


def _ids(headers: Headers, envelope: _Envelope) -> str:
    named = {
        "job": envelope.job_request_id or headers.get("X-Bk-Job-Request-Id"),
        "gateway": headers.get("X-Bkapi-Request-Id"),
        "esb": envelope.request_id,
    }
    return " ".join(
        f"{name}={text.plain(value, _ID_LENGTH)}"
        for name, value in named.items()
        if isinstance(value, str) and value
    )
