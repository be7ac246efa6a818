"""How often a caller may ask: so many calls in a window, as the doors count them.

Pure: the time is handed in, in seconds of the client, whatever the speed of the
world. What the doors say about it is their own business.
"""

import math
from typing import Annotated

import msgspec


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """*limit* calls in a window of so many seconds, for each app by itself."""

    limit: Annotated[int, msgspec.Meta(ge=1)]
    window: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Ration(msgspec.Struct, frozen=True):
    """What a call is told; *reset* is whole seconds until the window is over."""

    limit: int
    remaining: int
    reset: int
    granted: bool


class Meter:
    """Counts in fixed windows, which begin with the first call after the last one.

    A redis key with a time to live (apisix bk-rate-limit, rate-limit-redis.lua).
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, quota: Quota, app: str, now: float) -> Ration:
        began, used = self._windows.get(app, (-math.inf, 0))
        if now >= began + quota.window:
            began, used = now, 0
        granted = used < quota.limit
        self._windows[app] = (began, used + granted)
        return Ration(
            limit=quota.limit,
            remaining=max(quota.limit - used - 1, 0),
            # Redis rounds a time to live, so that it may well say 0.
            reset=round(began + quota.window - now),
            granted=granted,
        )
