"""A real Chromium without a screen."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")


def binary() -> str:
    """Find it, or skip aloud."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    return found


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Any]:
    """Give a page of a fresh profile; *options* are those of a context."""
    path = binary()
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as tool:
        chromium = await tool.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        context = await chromium.new_context(locale="en-US", **options)
        try:
            yield await context.new_page()
        finally:
            await chromium.close()
