"""Whatever a page leads to is there."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs import pages


def leads() -> Iterator[tuple[Path, str]]:
    for page in pages.PAGES:
        for link in pages.links(page):
            if not urlsplit(link).scheme:
                yield page, link


def broken(page: Path, link: str) -> str:
    """Say what is missing; empty if nothing is."""
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"there is no {path}"
    if anchor and target.suffix == ".md" and anchor not in pages.anchors(target):
        return f"there is no heading #{anchor}"
    return ""


@pytest.mark.parametrize(
    ("page", "link"),
    [
        pytest.param(page, link, id=f"{page.relative_to(pages.ROOT)} → {link}")
        for page, link in leads()
    ],
)
def test_every_link_within_leads_somewhere(page: Path, link: str) -> None:
    assert not broken(page, link)


def test_a_link_that_leads_nowhere_would_be_noticed() -> None:
    readme = pages.ROOT / "README.md"

    assert broken(readme, "docs/absent.md") == "there is no docs/absent.md"
    assert broken(readme, "docs/alerts.md#absent") == "there is no heading #absent"


@pytest.mark.parametrize(
    "page", sorted(pages.ROOT.glob("docs/*.md")), ids=lambda page: page.name
)
def test_no_page_of_the_site_leads_out_of_it(page: Path) -> None:
    assert not [link for link in pages.links(page) if link.startswith("..")]
