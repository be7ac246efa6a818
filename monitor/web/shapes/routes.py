"""Alerts of late, and the ways they take."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from monitor.core.ways import WayData


class RoutedData(Struct, kw_only=True):
    """*key* names the instance, scope or source, *id* the alert among its own.

    *holds*: it is wrong now, since *at*; otherwise it was raised, or changed, then.
    *traits* are what matchers see. *quiet*: why it is told to nobody at the moment.
    """

    key: str
    id: str
    name: str
    severity: str
    at: datetime
    holds: bool
    traits: Mapping[str, str]
    ways: Sequence[WayData]
    quiet: str = ""
