"""What an instance can be made to play: a story, or a canned answer.

Values only. A story joins what happens (a timeline) with how JOB of some version
would put it (a manner) and with the weather that belongs to it (faults).
"""

from enum import StrEnum

import msgspec

from monitor.simulator.faults import Fault
from monitor.simulator.timeline import Timeline


class Flavour(StrEnum):
    """How JOB's version words an answer."""

    MODERN = "modern"
    """Servers since 3.5: execute_count, a null pause, times without offset."""

    DOCUMENT = "document"
    """The v2 document to the letter: retry_count, block types, +0800."""

    LEGACY = "legacy"
    """Servers up to 3.4: all but 1 and 2 is "finished", no scope fields."""


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an instance came to be: what the list of instances tells and filters by."""

    plan_id: int = -1
    template_id: int = -1
    operator: str = "admin"
    launch_mode: int = 2
    """1 by hand, 2 by the API, 3 by cron (bk-job TaskStartupModeEnum)."""

    type: int | None = None
    """0 plan, 1 script, 2 file (bk-job TaskTypeEnum); None: as *plan_id* has it."""

    cron_id: int | None = None
    name: str | None = None
    """None: the name of the story."""

    callback_url: str | None = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    timeline: Timeline
    flavour: Flavour | None = None
    shuffled: bool = False
    stringly: bool = False
    faults: tuple[Fault, ...] = ()


class Canned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer to be sent as it stands, byte for byte."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""
    name: str = "canned"
    faults: tuple[Fault, ...] = ()
