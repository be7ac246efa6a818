import re
from pathlib import Path

import pytest

from tests.watchlist.reading import faults, parsed

PAGE = Path(__file__).parents[2] / "docs" / "watch-lists.md"
EXAMPLES = re.findall(
    r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(("kind", "content"), EXAMPLES)
def test_the_examples_in_the_documentation_are_read_as_they_stand(
    kind: str, content: str
) -> None:
    found = parsed(f"example.{kind}", content)

    assert faults(found) == []
    numbers = {watch.key.job_instance_id for watch in found.watches}
    assert len(found.rules) == 2 or numbers >= {20000153, 20000154}


def test_the_documentation_has_an_example_of_each_kind() -> None:
    assert [kind for kind, _ in EXAMPLES] == ["txt", "csv", "jsonl", "yaml", "yaml"]
