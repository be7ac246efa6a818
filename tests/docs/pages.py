"""Every page that people read, and what stands in it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))

_FENCE: Final = re.compile(
    r"^( *)(```+|~~~+)(.*?)\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE
)
_HEREDOC: Final = re.compile(r"<<'YAML'\n(.*?)^YAML$", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"(`+)(?:(?!\1).)+?\1", re.DOTALL)
_LINK: Final = re.compile(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


class Block(Struct, frozen=True):
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        inside = re.sub(f"^{found[1]}", "", found[4], flags=re.MULTILINE)
        yield Block(page, line, found[3].strip(), inside)


def configurations(page: Path) -> Iterator[Block]:
    """List what a page shows in YAML, also where a shell writes it into a file."""
    for block in blocks(page):
        if block.language == "yaml":
            yield block
        for inside in _HEREDOC.findall(block.text):
            yield Block(page, block.line, "yaml", inside)


def links(page: Path) -> Iterator[str]:
    """List where a page leads; what is code leads nowhere."""
    yield from _LINK.findall(_CODE.sub("", _prose(page)))


def anchors(page: Path) -> Mapping[str, int]:
    """Give the anchors of all headings, as GitHub and the site make them."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_prose(page)):
        text = re.sub(r"\[(.+?)\]\(.*?\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, 0) + 1
    return found


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
