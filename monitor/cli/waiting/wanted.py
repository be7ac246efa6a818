"""Which instances are meant: keys that were typed, or what stdin holds.

Stdin holds JSON (the answer of an execute call of any generation, a list of such,
or one a line) or keys, one a line. What is wrong is a ValueError whose sentence
says what would be right; an answer that started no job is an error of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from monitor import errors
from monitor.core import watch
from monitor.core.model import InstanceKey
from monitor.job import envelope
from monitor.watchlist import entry
from monitor.watchlist.entry import Draft

STDIN: Final = "-"
LONGEST: Final = 16 << 20
"""Bytes of stdin."""


class Reader:
    """*scope* (``2``, ``biz_set/5``, ``prod/2``) belongs to ids that have none."""

    def __init__(self, sources: tuple[str, ...], scope: str | None = None) -> None:
        self._sources = sources
        self._scope = scope

    def keys(
        self, words: Iterable[str], stdin: Callable[[int], bytes]
    ) -> tuple[InstanceKey, ...]:
        """Read all, each once, in their order; *stdin* gives at most so many bytes."""
        found = dict.fromkeys(
            key
            for word in words
            for key in (
                self.given(stdin(LONGEST + 1)) if word == STDIN else [self.typed(word)]
            )
        )
        if not found:
            raise ValueError("stdin names no instance")
        return tuple(found)

    def typed(self, word: str) -> InstanceKey:
        if self._scope and "/" not in word:
            word = f"{self._scope}/{word.strip()}"
        return watch.parse_key(word, sources=self._sources)

    def given(self, content: bytes) -> Iterator[InstanceKey]:
        if len(content) > LONGEST:
            raise ValueError(f"stdin holds more than {LONGEST >> 20} MiB")
        for value in _values(content):
            match value:
                case dict():
                    yield self._answered(value)
                case str() | int() if not isinstance(value, bool):
                    yield self.typed(str(value))
                case _:
                    raise ValueError("stdin holds JSON that is neither object nor key")

    def _answered(self, answer: dict[str, Any]) -> InstanceKey:
        _check_started(answer)
        data = answer.get("data")
        inside = data if isinstance(data, dict) else {}
        found = {
            name: _plain(name, value)
            for name in (*entry.IDS, "source")
            if (value := answer.get(name, inside.get(name))) is not None
        }
        scoped = found.keys() & {"bk_biz_id", "bk_scope_id"}
        if not scoped and self._scope and "job_instance_id" in found:
            return self.typed(found["job_instance_id"])
        draft = Draft(self._sources)
        for name, value in found.items():
            draft.field(name, value)
        try:
            return draft.key()
        except ValueError as error:
            hint = "" if scoped else "; --scope gives it"
            raise ValueError(f"stdin: {error}{hint}") from error


def _values(content: bytes) -> list[Any]:
    try:
        whole = msgspec.json.decode(content)
    except envelope.UNREADABLE:
        return list(_each_line(content))
    return whole if isinstance(whole, list) else [whole]


def _each_line(content: bytes) -> Iterator[Any]:
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            yield msgspec.json.decode(text) if text[:1] in b"{[" else text.decode()
        except envelope.UNREADABLE as error:
            raise ValueError(f"stdin, line {number}: cannot be read: {error}") from None


def _plain(name: str, value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"stdin: {name} is neither number nor text")


def _check_started(answer: dict[str, Any]) -> None:
    """Let through what declares no error: v4 declares nothing where all is well."""
    good = answer.get("result") is not False and not answer.get("error")
    if good and answer.get("code") in (None, 0, "0", ""):
        return
    try:
        envelope.unwrap(200, {}, msgspec.json.encode(answer))
    except (errors.Refused, errors.Forbidden):
        raise
    except errors.SourceError as error:
        raise errors.MonitorError(f"no job was started: {error}") from error
