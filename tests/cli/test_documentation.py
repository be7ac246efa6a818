"""``docs/cli.md`` says what there is: verbs, options, and nothing else.

So does whatever else the pages and the READMEs type.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from monitor.cli import main
from monitor.cli.main import app

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "cli.md"
PAGES: Final = sorted((*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")))
_BLOCK: Final = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)


def commands() -> Iterator[str]:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for block in _BLOCK.findall(pages):
        for line in block.replace("\\\n", "").splitlines():
            typed = re.split(r" [|>] | && ", line.removeprefix("$ "))[0]
            typed = typed.removeprefix(".venv/bin/")
            if typed.startswith("job-monitor "):
                yield typed


def parsed(words: list[str]) -> None:
    """Go down to the verb's own verb and read its options; raise for what is not."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command)
    while hasattr(command, "resolve_command"):
        _, command, words = command.resolve_command(context, words)
        context = command.context_class(command, parent=context)
    command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("line", list(commands()))
def test_what_the_pages_type_can_be_typed(line: str) -> None:
    parsed(shlex.split(line, comments=True)[1:])


def test_a_wrong_option_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--nonsense"):
        parsed(["route", "test", "--nonsense"])


def test_the_page_names_every_verb() -> None:
    table = PAGE.read_text().partition("\n## ")[0]
    named = {words.partition(" ")[0] for words in re.findall(r"\[`([a-z ]+)`\]", table)}
    assert named == set(main.VERBS)
