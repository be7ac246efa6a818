"""What can still be read of a JSON answer that was cut off on purpose."""

import re
from typing import Final

# To the next bracket outside of strings. Possessive all over: it takes linear time
# and no memory, and never takes a bracket within a torn string for one.
_TO_BRACKET: Final = re.compile(
    rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{}])', re.DOTALL
)
_CLOSING: Final = {b"{": b"}", b"[": b"]"}

# No answer of JOB is as deep, and none that is worth the time has as many.
_DEEPEST: Final = 64
_MOST: Final = 250_000


def mended(body: bytes) -> bytes:
    """Close *body* behind the last object or list in it that is whole.

    Empty where none is. An id stands in for the one behind the cut, by which a v4
    answer is known for what it is.
    """
    end, closings = _last_whole(body)
    if not closings:
        return body[:end]

    *inner, outermost = reversed(closings)
    stand_in = b',"job_request_id":""' if outermost == b"}" else b""
    return body[:end] + b"".join(inner) + stand_in + outermost


def _last_whole(body: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Find the end of the last whole value, and what is open there."""
    end, closings = 0, tuple[bytes, ...]()
    place, still_open = 0, list[bytes]()
    for _ in range(_MOST):
        found = _TO_BRACKET.match(body, place)
        if found is None or len(still_open) > _DEEPEST:
            break
        place = found.end()
        closing = _CLOSING.get(found[1])
        if closing:
            still_open.append(closing)
        elif still_open and still_open.pop() == found[1]:
            end, closings = place, tuple(still_open)
        else:
            break
    return end, closings
