"""Text that somebody else wrote, made fit for a line of a log or a message.

The result is one line, printable and of bounded length; nothing is escaped for
HTML or a terminal, because there is nothing left that a terminal obeys.
"""


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


def _shown(char: str) -> str:
    if char.isprintable():
        return char

    return " " if char.isspace() else ""
