"""Text from elsewhere, made fit for a terminal and a log: printable and bounded."""

from typing import Final

SHOWN: Final = 256


def printable(text: str, limit: int = SHOWN) -> str:
    """Show a control or format character as its escape, and *limit* of the rest."""
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
