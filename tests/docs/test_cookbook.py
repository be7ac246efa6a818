"""What the cookbook says of a recipe is what ``route test`` says of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import Block
from tests.docs.test_configurations import load

TYPED = "$ job-monitor route test "


def tried() -> Iterator[tuple[Block, Block]]:
    """Pair each trial with the recipe above it."""
    recipe = None
    for block in pages.blocks(pages.ROOT / "docs" / "alerts-cookbook.md"):
        if block.language == "yaml":
            recipe = block
        if block.text.startswith(TYPED) and recipe is not None:
            yield recipe, block


@pytest.mark.parametrize(
    ("recipe", "trial"),
    [pytest.param(recipe, trial, id=str(trial)) for recipe, trial in tried()],
)
def test_an_alert_takes_the_way_that_the_page_says(
    recipe: Block, trial: Block, tmp_path: Path
) -> None:
    typed, _, said = trial.text.partition("\n")
    load(recipe.text, tmp_path)

    words = ["route", "test", *typed.removeprefix(TYPED).split()]
    asked = subprocess.run(
        [sys.executable, "-m", "monitor", *words, "-c", tmp_path / "monitor.yaml"],
        cwd=pages.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert asked.stdout == said


def test_the_page_has_trials() -> None:
    assert len(list(tried())) > 1
