"""Text that somebody else wrote, made fit for a line of a log or a message.

The result is printable and of bounded length; nothing is escaped for HTML or a
terminal, because there is nothing left that a terminal obeys.
"""

import re
from typing import Final

# What a terminal obeys, such as colours: without its escape it would be rubbish.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*|[@-_])")
_NOT_ASCII: Final = re.compile(r"[^\n -~]+")


def plain(text: str, limit: int) -> str:
    r"""Keep what can be printed, at most *limit* characters of it.

    White space of any kind becomes a space; control characters, marks that turn
    the direction of writing and halves of surrogate pairs go.

    >>> plain("deploy\n\x1b[31mnginx", 256)
    'deploy [31mnginx'
    """
    text = text[: 2 * limit]
    if not text.isprintable():
        text = "".join(_shown(char) for char in text)

    return text[:limit].strip()


def end(text: str, limit: int) -> str:
    r"""Keep the end of *text* in at most *limit* bytes, in whole lines where it can.

    >>> end("one\r\n\x1b[31mtwo\x1b[0m\n\n", 256)
    'one\ntwo'
    """
    text = text.rstrip()
    # Twice as much, since some of it is not shown.
    tail = text[-2 * limit :]
    lines = _ESCAPES.sub("", tail).replace("\r\n", "\n").replace("\r", "\n")
    shown = _NOT_ASCII.sub(_run, lines).strip().encode()
    kept = shown[-limit:].decode(errors="ignore")
    if len(shown) <= limit and len(tail) == len(text):
        return kept
    at_a_line = shown[: -len(kept.encode())].endswith(b"\n")
    return (kept if at_a_line else _from_a_line(kept)).strip()


def _from_a_line(text: str) -> str:
    # Unless that would cost more than half of what there is.
    line, _, rest = text.partition("\n")
    return rest if len(line) <= len(text) // 2 else text


def _run(found: "re.Match[str]") -> str:
    run = found[0]
    return run if run.isprintable() else "".join(_shown(char) for char in run)


def _shown(char: str) -> str:
    if char.isprintable():
        return char

    return " " if char.isspace() else ""
