"""What people name: an event, a notification, a key in short or in full, a group."""

import re
from collections.abc import Collection
from typing import Final, Literal

from msgspec import Struct

from monitor.core import routing, watch

OF_MAX: Final = 1024
HOW: Final = (
    "give the id of an event (prod/biz/2/20000153#4) or of a notification"
    " (prod/biz/2/20000153!1), the key of an instance, a scope or a source, or the"
    " name of a group"
)

_NUMBERED: Final = re.compile(r"(?P<key>.+)(?P<mark>[#!])(?P<number>[0-9]{1,18})")


class Named(Struct, frozen=True):
    """*key* is written out; *number* is that of the event or the notification."""

    key: str
    kind: Literal["event", "notification", "key", "group"]
    number: int = 0

    @property
    def id(self) -> str:
        mark = {"event": "#", "notification": "!"}.get(self.kind)
        return f"{self.key}{mark}{self.number}" if mark else self.key


def read(text: str, sources: Collection[str]) -> Named:
    numbered = _NUMBERED.fullmatch(text)
    if routing.is_several(text) or numbered is None:
        key = in_full(text, sources)
        return Named(key, "group" if routing.is_several(key) else "key")
    kind: Literal["event", "notification"] = (
        "event" if numbered["mark"] == "#" else "notification"
    )
    return Named(in_full(numbered["key"], sources), kind, int(numbered["number"]))


def in_full(key: str, sources: Collection[str]) -> str:
    """Write out a key that was given in short; whatever else it is stays."""
    try:
        return str(watch.parse_key(key, sources=tuple(sources)))
    except ValueError:
        return key
