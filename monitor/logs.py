"""structlog, set up once: lines on stderr, for people or for machines.

JSON lines, or columns with colour where stderr is a terminal; a line to the journal
of systemd begins with its priority, which the journal takes off. Libraries that log
through the standard library come out the same way, from warning upwards. The
last step before writing hides every secret that was ``protect``ed and whatever
stands under a name that looks secret, in tracebacks too; it makes text from
elsewhere printable and bounds it. A traceback never shows local variables.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, TextIO, cast
from urllib.parse import quote

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]

HIDDEN: Final = "********"
LONGEST: Final = 16_384
DEEPEST: Final = 6

# Anything shorter would blot out innocent text.
_SHORTEST: Final = 4
_SECRETIVE: Final = re.compile(
    r"secret|token|passw|passphrase|authorization|cookie|api_?key|private_?key",
    re.IGNORECASE,
)
_PROSE: Final = frozenset({"exception", "stack"})
"""Keys whose text may have lines."""

_protected: list[str] = []
"""The longest first, so that no secret inside another leaves the rest behind."""


def protect(values: Iterable[str]) -> None:
    """Hide *values* from now on, wherever they occur, also as JSON or in a URL."""
    forms = {
        form
        for value in values
        for form in (value, quote(value, safe=""), json.dumps(value)[1:-1])
        if len(value) >= _SHORTEST
    }
    _protected[:] = sorted(forms.union(_protected), key=len, reverse=True)


def looks_secret(name: str) -> bool:
    """Judge a key by its name; ``x_file`` only says where to find a secret."""
    return bool(_SECRETIVE.search(name)) and not name.endswith("_file")


class _Lossy:
    """A stream that is full or gone must not stop the daemon: its lines are lost.

    They are counted, for the sink whose messages they are.
    """

    lost: ClassVar[int] = 0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except OSError:
            _Lossy.lost += 1

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _Lossy.lost += 1


def lost() -> int:
    """Count the lines that could not be written since the start."""
    return _Lossy.lost


def configure(
    format: Format,  # noqa: A002 - the name of the key
    level: Level,
    *,
    stream: TextIO | None = None,
    colour: bool = True,
) -> None:
    """Send everything from *level* upwards to *stream*, which is stderr if None.

    *colour* False forbids what a terminal would otherwise get. May be called
    again; the last call counts.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    console = format == "console" or (format == "auto" and terminal)
    write = _columns(colour=colour and terminal) if console else _json
    if _leads_to_journal(stream):
        write = _prioritised(write)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_FIRST,
            _hide,
            write,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(
            file=cast("TextIO", _Lossy(stream))
        ),
    )
    _adopt_libraries(stream, level, write)
    sys.excepthook = _crashed


_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}

_FIRST: Final[tuple[Processor, ...]] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    # Python's own traceback: Rich's would show local variables.
    structlog.processors.format_exc_info,
)


def _leads_to_journal(stream: TextIO) -> bool:
    # Source: systemd.exec(5), $JOURNAL_STREAM.
    journal = os.environ.get("JOURNAL_STREAM")
    if journal is None:
        return False
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return False
    return journal == f"{found.st_dev}:{found.st_ino}"


def _prioritised(write: Processor) -> Processor:
    # Source: sd-daemon(3), the levels of syslog.
    def written(logger: WrappedLogger, name: str, event: EventDict) -> str:
        priority = _PRIORITIES.get(event.get("level", ""), 6)
        text = str(write(logger, name, event))
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())

    return written


def _adopt_libraries(stream: TextIO, level: Level, write: Processor) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_FIRST],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _hide,
            write,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    least = logging.ERROR if level == "error" else logging.WARNING
    logging.basicConfig(handlers=[handler], level=least, force=True)
    logging.captureWarnings(capture=True)


def _crashed(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what nobody caught, since Python's own report would hide no secret."""
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))


def _columns(*, colour: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colour,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {key: event.pop(key, None) for key in ("timestamp", "level", "event")}
    return msgspec.json.encode({**first, **event}).decode()


def _hide(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return _named(event, 0)


def _named(values: Mapping[Any, object], depth: int) -> dict[str, Any]:
    """Hide by name; None and switches tell nothing, and that they do."""
    return {
        _text(str(key)): HIDDEN
        if looks_secret(str(key)) and not isinstance(value, bool | None)
        else _value(value, depth, lines=key in _PROSE)
        for key, value in values.items()
    }


def _value(value: object, depth: int, *, lines: bool = False) -> Any:
    """Reduce *value* to what every renderer can write."""
    match value:
        case None | bool():
            return value
        case float() | int() if abs(value) < 1 << 63:
            return value
        case Mapping() | list() | tuple() | set() | frozenset() if depth == DEEPEST:
            return "…"
        case Mapping():
            return _named(value, depth + 1)
        case list() | tuple() | set() | frozenset():
            return [_value(inside, depth + 1) for inside in value]
        case _:
            return _text(str(value), lines=lines)


def _text(text: str, *, lines: bool = False) -> str:
    for secret in _protected:
        text = text.replace(secret, HIDDEN)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if text.isprintable():
        return text
    kept = "\n" if lines else ""
    return "".join(
        c if c.isprintable() or c in kept else f"\\u{ord(c):04x}" for c in text
    )
