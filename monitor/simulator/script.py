"""Reads a person's own scenarios from YAML.

The file is a list of entries, or a mapping with ``instances:`` and, for what hits
them all, ``faults:``. What `parsed` lets through can be played.
"""

from typing import Any

import msgspec
import yaml

from monitor.simulator import entry
from monitor.simulator.entry import Entry, WrongEntryError
from monitor.simulator.faults import Fault
from monitor.simulator.instance import Instance
from monitor.simulator.world import World


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    instances: list[Entry] = []
    faults: list[Fault] = []


def parsed(text: str) -> Script:
    """Parse a script, and try every story of it.

    Raises:
        WrongEntryError: it is no YAML, or no script; with place and reason.
    """
    try:
        script = msgspec.convert(_mapping(yaml.safe_load(text)), Script)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise WrongEntryError(str(error)) from error
    for number, each in enumerate(script.instances):
        _try(each, number)
    return script


def _mapping(written: Any) -> Any:
    return {"instances": written} if isinstance(written, list) else written


def _try(written: Entry, number: int) -> None:
    try:
        entry.story(written)
    except WrongEntryError as error:
        raise WrongEntryError(f"instances[{number}]: {error}") from error


def enact(world: World, script: Script) -> list[Instance]:
    """Begin to play all instances of *script* now."""
    if script.faults:
        world.switch([*world.faults.faults, *script.faults])
    return [entry.enact(world, each) for each in script.instances]
