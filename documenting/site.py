"""A hook of MkDocs: what the site needs that ``mkdocs.yml`` cannot say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

DECISIONS: Final = "decisions/"


def on_config(config: Any) -> Any:
    """Name every decision where the navigation names their folder."""
    folder = Path(config["docs_dir"]) / DECISIONS
    pages = sorted(f"{DECISIONS}{page.name}" for page in folder.glob("*.md"))
    config["nav"] = _filled(config["nav"], pages)
    return config


def _filled(entry: Any, pages: Sequence[str]) -> Any:
    match entry:
        case list():
            return [_filled(each, pages) for each in entry]
        case dict():
            return {title: _filled(inside, pages) for title, inside in entry.items()}
        case _:
            return list(pages) if entry == DECISIONS else entry
