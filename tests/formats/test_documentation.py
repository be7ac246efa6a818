"""docs/templates.md says what is so: its examples are tried."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from monitor.formats.library import Template
from monitor.settings.templates import TemplateSettings
from tests.formats.notified import failing, notified

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

from monitor.formats import brief, sandbox, templates

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
[MESSAGE] = notified(failing(9))


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found[number]


def test_the_example_of_a_template_writes_json() -> None:
    source = block("jinja")

    said = msgspec.json.decode(
        templates.render(Template(name="x", source=source), MESSAGE)
    )

    assert said["title"] == "CRITICAL · deploy"
    assert said["urgent"] is True
    assert said["labels"] == {"team": "sre"}
    assert "9 of 10 hosts failed" in said["text"]


def test_the_example_of_a_configuration_is_accepted_and_can_be_rendered() -> None:
    written = yaml.safe_load(block("yaml"))["templates"]
    given = {
        name: TemplateSettings.model_validate(each) for name, each in written.items()
    }
    chat = Template(name="chat", source=given["chat"].body or "", robot="wecom")

    said = msgspec.json.decode(templates.render(chat, MESSAGE))

    assert given["ticket"].content_type == "application/json"
    assert said["markdown"]["content"] == (
        "**CRITICAL · deploy** "
        "[Open in JOB](https://job.example.com/api_execute/20000153)"
    )


def test_every_filter_there_is_is_named_and_no_other() -> None:
    listed = PAGE.partition("and these filters:")[2].partition(".")[0]
    inner = {"counted", "measured"}

    assert set(re.findall(r"`(\w+)`", listed)) == (
        set(sandbox.Box(None, link=str).filters) - inner
    )


def test_every_field_of_what_is_brief_is_named() -> None:
    table = PAGE.partition("| in `brief` | holds |")[2].partition("\n\n")[0]
    fields = {
        name
        for kind in (brief.Brief, brief.Item, brief.Kind)
        for name in kind.__struct_fields__
    }

    assert set(re.findall(r"`(\w+)`", table)) - {"brief", "critical", "warning"} == (
        fields
    )


@pytest.mark.parametrize(
    "limit",
    [
        f"{sandbox.TURNS:,} turns",
        f"up to\n{sandbox.RANGE:,}",
        f"{templates.SOURCE_MAX:,} characters",
        f"{sandbox.LONGEST >> 10} KiB at any moment",
        f"({templates.BODY_MAX >> 10} KiB, or the robot's limit)",
    ],
)
def test_the_limits_are_those_of_the_code(limit: str) -> None:
    assert limit in PAGE
