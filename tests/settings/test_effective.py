import re
from pathlib import Path

import yaml

from monitor.logs import HIDDEN
from monitor.settings import effective
from tests.settings.written import SOURCE, loaded

EXAMPLE = Path(__file__).parents[2] / "deploy" / "monitor.example.yaml"


def example(directory: Path) -> str:
    (directory / "secrets").mkdir()
    for name in ("app_secret", "oncall", "apprise"):
        (directory / "secrets" / name).write_text("s\n")
    return EXAMPLE.read_text(encoding="utf-8")


def test_what_is_in_effect_can_be_read_again(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOURCE + "web: {listen: '[::1]:80'}\n")

    again = loaded(tmp_path, effective.text(settings).replace(HIDDEN, "0123canary"))

    assert again == settings


def test_values_are_shown_the_way_they_are_written(tmp_path: Path) -> None:
    text = SOURCE + "    max_body: 1536KiB\n    timezone: -03:30\n    timeout: 90s\n"

    source = effective.values(loaded(tmp_path, text))["sources"]["prod"]

    assert source["app_secret"] == HIDDEN
    assert source["max_body"] == "1536KiB"
    assert source["timezone"] == "-03:30"
    assert source["timeout"] == "1m30s"


def test_the_example_is_accepted(tmp_path: Path) -> None:
    settings = loaded(tmp_path, example(tmp_path))

    names = [sink.name for sink in settings.sinks]
    assert names == [
        "journal",
        "oncall",
        "bus",
        "alertmanager",
        "archive",
        "pager",
        "watchdog",
        "mail",
    ]


def test_the_example_names_every_key_of_every_kind_of_sink(tmp_path: Path) -> None:
    """Those that stand for a file or for what is in it, at least in a comment."""
    settings = loaded(tmp_path, example(tmp_path))
    words = set(re.findall(r"\w+", EXAMPLE.read_text(encoding="utf-8")))

    for sink in settings.sinks:
        assert type(sink).model_fields.keys() <= words, sink.name


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    shown = yaml.safe_load(example(tmp_path))
    default = effective.values(loaded(tmp_path, SOURCE + "web: {}\n"))

    assert shown.keys() == default.keys()
    for group in ("polling", "alerts", "log", "retention", "locale", "shutdown_grace"):
        assert shown[group] == default[group]
    files = {"token_file": None, "read_token_file": None, "callback_token_file": None}
    assert default["web"] == {**shown["web"], **files}
    left_out = {"app_secret", "token_file", "access_token_file"}
    assert shown["sources"]["prod"].keys() == (
        default["sources"]["prod"].keys() - left_out
    )
