"""Templates, and the words and shapes that they use. Everything is escaped."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from monitor.web.pages.speech import LOCALES, Speech

HERE: Final = Path(__file__).parent
STATIC: Final = "/static"

MARKS: Final[Mapping[str, str]] = {
    "failed": "✕",
    "running": "▶",
    "succeeded": "✓",
    "waiting": "◷",
    "needs a person": "!",
    "unknown": "?",
    "unfinished": "◷",
    "critical": "✕",
    "warning": "!",
    "well": "✓",
    "failing": "✕",
    "resting": "◷",
    "seen": "✓",
    "doubted": "?",
    "lost": "✕",
    "living": "✓",
    "draining": "◷",
    "gone": "✕",
}
"""A shape beside each colour, for those who see no colours."""

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@cache
def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("monitor.web.pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"asset": asset, "marks": MARKS, "locales": LOCALES}
    found.filters["slug"] = lambda text: str(text).replace(" ", "-")
    return found


@cache
def asset(name: str) -> str:
    """Give the address of a file, which changes with what is in it."""
    content = (HERE / "static" / name).read_bytes()
    return f"{STATIC}/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


class Page:
    """What one page is rendered with beside its own values."""

    def __init__(
        self, request: web.Request, speech: Speech, now: datetime, **known: Any
    ) -> None:
        self.speech = speech
        self._now = now
        self._known = {
            **known,
            "t": speech,
            "locale": speech.locale,
            "path": request.path,
            "address": request.rel_url,
            "query": request.query,
            "moment": self._moment,
            "ago": self._ago,
            "took": self._took,
        }

    def response(self, template: str, status: int = 200, **values: Any) -> web.Response:
        text = environment().get_template(template).render(self._known | values)
        return web.Response(text=text, status=status, content_type="text/html")

    def _moment(self, at: datetime | None) -> str:
        return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"

    def _ago(self, at: datetime | None) -> Markup:
        """Say how long ago, or how far ahead, that is; the moment itself beside it."""
        if at is None:
            return Markup("—")
        passed = self._now - at
        if abs(passed) < timedelta(seconds=1):
            said = self.speech("just now")
        elif passed > timedelta():
            said = self.speech("{span} ago", span=self._took(passed))
        else:
            said = self.speech("in {span}", span=self._took(-passed))
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(), self._moment(at), said
        )

    def _took(self, span: timedelta) -> str:
        """Write a span in its two largest units."""
        left, parts = int(span.total_seconds()), list[str]()
        for seconds, unit in _UNITS:
            if left >= seconds or parts:
                parts.append(f"{left // seconds}{self.speech(unit)}")
                left %= seconds
        return " ".join(parts[:2]) or f"0{self.speech('s')}"
