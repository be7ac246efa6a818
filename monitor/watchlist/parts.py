"""A file's content as it travels to other machines: in parts, compressed, with digests.

Parts have so many entries each: a line that is appended changes the last of them and
no other. They say nothing of the file's path, which another machine knows better.
Every later version must be able to read them, so what is in them may only gain fields.
"""

import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct, structs

from monitor import errors
from monitor.core.discovery import Rule
from monitor.core.lists import EMPTY
from monitor.core.model import InstanceKey
from monitor.core.watch import NO_OPTIONS, Options, Place, Watch
from monitor.ports import Part
from monitor.watchlist import formats
from monitor.watchlist.reading import Parsed

SIZE: Final = 1000


class _Entry(Struct, frozen=True, array_like=True, gc=False):
    source: str
    scope_type: str
    scope_id: str
    job_instance_id: int
    line: int | None = None
    column: int | None = None
    labels: Mapping[str, str] = {}
    options: Options = NO_OPTIONS


class _Body(Struct, frozen=True, array_like=True):
    entries: tuple[_Entry, ...] = ()
    rules: tuple[Rule, ...] = ()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Body).decode


def pieces(parsed: Parsed) -> Iterator[Parsed]:
    """Divide what a file says, the rules first."""
    for start in range(0, len(parsed.rules), SIZE):
        yield Parsed(rules=parsed.rules[start : start + SIZE])
    for start in range(0, len(parsed.watches), SIZE):
        yield Parsed(watches=parsed.watches[start : start + SIZE])


def joined(found: Sequence[Parsed]) -> Parsed:
    return Parsed(
        rules=tuple(rule for each in found for rule in each.rules),
        watches=tuple(watch for each in found for watch in each.watches),
    )


def packed(parsed: Parsed, before: Sequence[Part]) -> list[Part]:
    """Write what a file says; what is as it was *before* is not compressed again."""
    known = {part.digest: part for part in before}
    return [_packed(piece, known) for piece in pieces(parsed)]


def whole(digests: Sequence[str]) -> str:
    """Give the digest of all of these parts."""
    return _digest("".join(digests).encode()) if digests else EMPTY


def unpacked(part: Part, path: str, sources: Sequence[str]) -> Parsed:
    """Read what concerns these *sources*, as if it stood at *path*.

    Raises errors.StoreError where that is not what was written.
    """
    try:
        written = zlib.decompressobj().decompress(part.body, formats.LARGEST)
        body = _decode(written)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise damaged() from error
    if _digest(written) != part.digest:
        raise damaged()
    return Parsed(
        watches=tuple(_watches(body.entries, path, sources)),
        rules=tuple(
            structs.replace(rule, place=structs.replace(rule.place, path=path))
            for rule in body.rules
            if rule.source in sources
        ),
    )


def damaged() -> errors.StoreError:
    return errors.StoreError("a damaged list of watches; restore a backup")


def _packed(piece: Parsed, known: Mapping[str, Part]) -> Part:
    written = _encode(_Body(tuple(map(_entry, piece.watches)), _pathless(piece.rules)))
    digest = _digest(written)
    return known.get(digest) or Part(digest, zlib.compress(written))


def _entry(watch: Watch) -> _Entry:
    key, place = watch.key, watch.place
    return _Entry(
        key.source,
        key.scope_type,
        key.scope_id,
        key.job_instance_id,
        place.line,
        place.column,
        watch.labels,
        watch.options,
    )


def _pathless(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(
        structs.replace(rule, place=structs.replace(rule.place, path=""))
        for rule in rules
    )


def _watches(
    entries: Sequence[_Entry], path: str, sources: Sequence[str]
) -> Iterator[Watch]:
    """Equal labels and options become one object, as where a file is read."""
    labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    options: dict[Options, Options] = {NO_OPTIONS: NO_OPTIONS}
    for each in entries:
        if each.source in sources:
            yield Watch(
                key=InstanceKey(
                    sys.intern(each.source),
                    sys.intern(each.scope_type),
                    sys.intern(each.scope_id),
                    each.job_instance_id,
                ),
                labels=labels.setdefault(tuple(each.labels.items()), each.labels),
                options=options.setdefault(each.options, each.options),
                place=Place(path, each.line, each.column),
            )


def _digest(written: bytes) -> str:
    return blake2b(written, digest_size=16).hexdigest()
