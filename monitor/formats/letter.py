"""A title and a body for people, in plain text or in Markdown.

Where it will be shown is not known: text from JOB, from logs and from watch lists
must not call people or make a link in any of those places. What might is replaced
by characters that look alike, since there are no escapes that all of them know.
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct, structs

from monitor.core.message import Message
from monitor.formats import brief, reading
from monitor.formats import words as languages
from monitor.formats.brief import ROOMS, Brief, Item, Kind
from monitor.formats.words import Words

Markup = Literal["text", "markdown"]

BODY_MAX: Final = 4000

_ALIKE: Final = {
    "text": str.maketrans("<@[", "＜＠［"),
    "markdown": str.maketrans("<>[]`*_@#~|\\", "＜＞［］ˋ＊＿＠＃～｜＼"),
}
_LINK: Final = str.maketrans(
    {"(": "%28", ")": "%29", "<": "%3C", ">": "%3E", " ": "%20"}
)


class Letter(Struct, frozen=True):
    """*severity* is empty when all is well."""

    title: str
    body: str
    severity: str


def of(message: Message, *, markup: Markup, locale: str) -> Letter:
    """Write one, of BODY_MAX characters at most; Rejected for what is no notification."""
    data = reading.notification(message)
    briefs = (brief.of(data, locale, room) for room in ROOMS)
    letters = [_Writer(each, markup, locale).letter() for each in briefs]
    fitting = [letter for letter in letters if len(letter.body) <= BODY_MAX]
    return fitting[0] if fitting else _cut(letters[-1])


def _cut(letter: Letter) -> Letter:
    return structs.replace(letter, body=letter.body[:BODY_MAX])


class _Writer:
    def __init__(self, found: Brief, markup: Markup, locale: str) -> None:
        self._brief = found
        self._plain = markup == "text"
        self._alike = _ALIKE[markup]
        self._words: Words = languages.of(locale)

    def letter(self) -> Letter:
        title = self._safe(self._brief.headline)
        return Letter(
            title=title,
            body="\n".join(self._lines()) or title,
            severity=self._brief.severity if self._brief.firing else "",
        )

    def _lines(self) -> Iterator[str]:
        found, words = self._brief, self._words
        if found.summary:
            yield from self._paragraph(self._safe(found.summary))
        if found.key:
            named = " · ".join((found.key, *found.labels))
            yield from self._paragraph(f"{words.job}: {self._safe(named)}")
        for item in found.alerts:
            yield from self._item(item)
        if found.more:
            yield from self._paragraph(self._safe(found.more))
        for each in found.over:
            yield from self._paragraph(f"{words.over}: {self._safe(each)}")
        if found.link:
            yield self._link(found.link)

    def _item(self, item: Item) -> Iterator[str]:
        counted = f"{item.failed}/{item.total}" if item.failed else ""
        step = f"{self._words.step} {item.step}" if item.step else ""
        facts = (item.title, counted, item.whose, step)
        yield from self._paragraph(
            self._strong(self._safe(" · ".join(filter(None, facts))))
        )
        if item.detail:
            yield from self._paragraph(self._safe(item.detail))
        for kind in item.kinds:
            yield from map(self._quoted, self._kind(kind))
            yield ""
        if item.more:
            yield from self._paragraph(self._safe(item.more))

    def _kind(self, kind: Kind) -> Iterator[str]:
        hosts = ", ".join(kind.hosts)
        yield f"{kind.count} × {kind.reason}: {hosts} {kind.more}".rstrip(" :")
        if kind.log_cut:
            yield kind.log_cut
        yield from kind.log

    def _quoted(self, line: str) -> str:
        # In Markdown two blanks at the end keep the lines apart.
        return f"  {self._safe(line)}" if self._plain else f"> {self._safe(line)}  "

    def _strong(self, text: str) -> str:
        return text if self._plain else f"**{text}**"

    def _link(self, link: str) -> str:
        if self._plain:
            return link
        return f"[{self._words.open}]({link.translate(_LINK)})"

    def _paragraph(self, text: str) -> Iterator[str]:
        yield text
        yield ""

    def _safe(self, text: str) -> str:
        return text.translate(self._alike)
