"""What an error code of JOB, of the legacy ESB or of the API gateway asks for.

One table, because the three share one number space. Numbers in no table are
judged by their family, then by the HTTP status; what is left over is taken for
a fault of the one request.

Sources: bk-job ``ErrorCode.java``; legacy-bk-paas ``common/errors.py`` and
``common/bkerrors.py``; blueking-apigateway-apisix ``errorx.lua``; read 2026-11.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class Verdict(Enum):
    UNAVAILABLE = auto()
    THROTTLED = auto()
    REFUSED = auto()
    FORBIDDEN = auto()
    MISSING = auto()
    BAD_REQUEST = auto()
    MISPLACED = auto()
    """Our URL leads to no such API: every request of this source will fail."""


_CODES: Final = {
    # JOB
    1244006: Verdict.MISSING,  # unknown, of another business, or archived
    1244007: Verdict.MISSING,  # a job row without steps
    9900403: Verdict.FORBIDDEN,  # refused by the permission centre
    1238001: Verdict.FORBIDDEN,  # the same on older servers
    1243049: Verdict.FORBIDDEN,  # no such business, or an archived one
    1243051: Verdict.FORBIDDEN,  # no such scope
    1240001: Verdict.UNAVAILABLE,  # a service behind JOB is down
    1240002: Verdict.UNAVAILABLE,  # internal error
    1240003: Verdict.BAD_REQUEST,
    1247002: Verdict.REFUSED,  # no user in the JWT
    1247004: Verdict.REFUSED,  # no app code in the JWT
    1247404: Verdict.REFUSED,  # the same, as the table of messages numbers it
    # The legacy ESB
    1306206: Verdict.MISPLACED,  # no test environment
    1306207: Verdict.MISPLACED,  # blocked
    1306209: Verdict.MISPLACED,  # method unsupported
    1306401: Verdict.REFUSED,  # operator required
    1306402: Verdict.REFUSED,  # user permission
    1306403: Verdict.REFUSED,  # the app may not use this component
    1306404: Verdict.MISPLACED,  # no such component
    1306405: Verdict.MISPLACED,  # inactive channel
    1306406: Verdict.BAD_REQUEST,
    1306429: Verdict.THROTTLED,
    # The API gateway
    1640004: Verdict.REFUSED,  # JWT_VERIFY_FAILED
    1640401: Verdict.MISPLACED,  # API_NOT_FOUND
}

_FAMILIES: Final = (
    (range(1210000, 1220000), Verdict.UNAVAILABLE),  # GSE, CMDB, IAM behind JOB
    (range(1250000, 1260000), Verdict.UNAVAILABLE),  # database, cache, queue of JOB
    (range(1306200, 1306300), Verdict.UNAVAILABLE),  # ESB: no good answer from JOB
    (range(1640100, 1640200), Verdict.REFUSED),  # app or user not verified
    # No permission, address, user or tenant not allowed: all of it is about who
    # we are and none about the instance.
    (range(1640300, 1640400), Verdict.REFUSED),
    (range(1642900, 1643000), Verdict.THROTTLED),
    (range(1650000, 1660000), Verdict.UNAVAILABLE),
)

# Both codes say "something is wrong", and the text tells what; it is English
# whatever language was asked for.
# Source: legacy-bk-paas esb/bkauth/validators.py and the gateway's errorx.lua,
# read 2026-11.
_IF_CREDENTIALS: Final = {
    1640001: re.compile(r"\b(bk_)?app|user|token|ticket|authenticat", re.IGNORECASE),
    1306000: re.compile(
        r"authenticat|valid user|expired|\[bk_(app_code|app_secret|access_token|token)\]",
        re.IGNORECASE,
    ),
}

# Source: bk-job v4_response_protocol.md and EsbV4ExceptionControllerAdvice.
_NAMES: Final = {
    "NOT_FOUND": Verdict.MISSING,
    "NO_PERMISSION": Verdict.FORBIDDEN,
    "IAM_NO_PERMISSION": Verdict.FORBIDDEN,
    "INVALID_ARGUMENT": Verdict.BAD_REQUEST,
    "INTERNAL": Verdict.UNAVAILABLE,
    "RATELIMIT_EXCEED": Verdict.THROTTLED,
    "RESOURCE_EXHAUSTED": Verdict.THROTTLED,
}

_STATUSES: Final[Mapping[int, Verdict]] = {
    401: Verdict.REFUSED,
    429: Verdict.THROTTLED,
}


def judge(status: int, code: int | None, *, name: str = "", text: str = "") -> Verdict:
    """Decide by the most telling sign; *name* is that of a v4 error."""
    credentials = _IF_CREDENTIALS.get(code or 0)
    if credentials and credentials.search(text):
        return Verdict.REFUSED

    return (
        by_status(status)
        or _CODES.get(code or 0)
        or _by_family(code or 0)
        or _NAMES.get(name)
        or (Verdict.UNAVAILABLE if status >= 500 else Verdict.BAD_REQUEST)
    )


def by_status(status: int) -> Verdict | None:
    """Judge what no body can soften: 401 and 429."""
    return _STATUSES.get(status)


def _by_family(code: int) -> Verdict | None:
    return next((verdict for codes, verdict in _FAMILIES if code in codes), None)
