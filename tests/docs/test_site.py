"""The site can be built: every page is in the navigation, and no link is dead."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("material") is None
    or importlib.util.find_spec("mkdocs") is None,
    reason="MkDocs Material is not installed: it is in the dependency group docs",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", where],
        cwd=pages.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return where


def test_every_page_is_built(site: Path) -> None:
    built = {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")}
    wanted = {
        page.relative_to(pages.ROOT / "docs").with_suffix("")
        for page in pages.PAGES
        if page.is_relative_to(pages.ROOT / "docs")
    }

    assert wanted <= built


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = [
        found
        for page in site.rglob("*.html")
        for found in re.findall(
            r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*>",
            page.read_text(encoding="utf-8"),
        )
        if 'rel="canonical"' not in found
    ]

    assert not loaded
