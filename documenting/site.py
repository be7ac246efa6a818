"""A hook of MkDocs: what the site needs that ``mkdocs.yml`` cannot say."""

from pathlib import Path
from typing import Any, Final

DECISIONS: Final = "decisions/"


def on_config(config: Any) -> Any:
    """List every decision where the navigation names their folder."""
    folder = Path(config["docs_dir"]) / DECISIONS
    pages = sorted(f"{DECISIONS}{page.name}" for page in folder.glob("*.md"))
    for entry in config["nav"]:
        for title, inside in entry.items():
            if inside == DECISIONS:
                entry[title] = pages
    return config
