from pathlib import Path

import pytest

from monitor import errors
from monitor.formats.library import Template
from monitor.settings import templating
from tests.settings.written import SOURCE, faults, loaded

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

SINK = """\
sinks:
  - name: chat
    kind: webhook
    url: https://hooks.example.com/x
    format: template
    template: {template}
"""


def with_sink(template: str, more: str = "", **fields: str) -> str:
    extra = "".join(f"    {key}: {value}\n" for key, value in fields.items())
    return SOURCE + SINK.format(template=template) + extra + more


def test_a_template_is_written_here_or_in_a_file_beside_the_configuration(
    tmp_path: Path,
) -> None:
    (tmp_path / "chat.j2").write_text("{{ data.summary }}", encoding="utf-8")
    text = SOURCE + (
        "locale: zh-CN\n"
        "templates:\n"
        "  here: {body: '{{ message.id }}', content_type: text/plain}\n"
        "  there: {file: chat.j2, robot: feishu}\n"
    )

    library = templating.library(loaded(tmp_path, text))

    assert library.find("here") == Template(
        name="here",
        source="{{ message.id }}",
        content_type="text/plain",
        locale="zh-CN",
    )
    assert library.find("there", "en") == Template(
        name="there", source="{{ data.summary }}", robot="feishu"
    )


def test_a_file_that_changed_is_another_library(tmp_path: Path) -> None:
    (tmp_path / "chat.j2").write_text("one", encoding="utf-8")
    settings = loaded(tmp_path, SOURCE + "templates: {x: {file: chat.j2}}\n")
    before = templating.library(settings)

    (tmp_path / "chat.j2").write_text("two", encoding="utf-8")

    assert templating.library(settings) != before


@pytest.mark.parametrize("preset", ["wecom", "dingtalk", "feishu", "slack"])
def test_presets_need_no_entry(tmp_path: Path, preset: str) -> None:
    [sink] = loaded(tmp_path, with_sink(preset)).sinks

    assert sink.name == "chat"


CASES = {
    "an unknown template": (
        with_sink("wecm"),
        (
            "monitor.yaml: sink chat: there is no template 'wecm'; there are:"
            " dingtalk, feishu, slack, wecom"
        ),
    ),
    "a preset for events": (
        with_sink("wecom", send="[events]"),
        ("monitor.yaml: sink chat: the preset wecom knows alerts only: send: [alerts]"),
    ),
    "a secret for a robot that knows none": (
        with_sink("wecom", robot_secret="canary"),
        "monitor.yaml: sink chat: robot_secret is for dingtalk and feishu only",
    ),
    "a name that is taken": (
        SOURCE + "templates: {slack: {body: x}}\n",
        "monitor.yaml:8:13: templates.slack: is the name of a preset; take another",
    ),
    "two texts": (
        SOURCE + "templates: {x: {body: x, file: monitor.yaml}}\n",
        "monitor.yaml:8:13: templates.x: give body or file, one of the two",
    ),
    "no text": (
        SOURCE + "templates: {x: {}}\n",
        "monitor.yaml:8:13: templates.x: give body or file, one of the two",
    ),
    "a text that is no template": (
        SOURCE + 'templates: {x: {body: "a\\n{{ b | c }}"}}\n',
        "monitor.yaml:8:17: templates.x.body: line 2: No filter named 'c'.",
    ),
    "a file that is not there": (
        SOURCE + "templates: {x: {file: none.j2}}\n",
        (
            "monitor.yaml:8:17: templates.x.file: none.j2: cannot be read:"
            " No such file or directory"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, case: str
) -> None:
    text, expected = CASES[case]

    assert faults(tmp_path, text) == [expected]


def test_a_file_that_is_no_template_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.j2").write_text("\n\n{% for %}", encoding="utf-8")

    [fault] = faults(tmp_path, SOURCE + "templates: {x: {file: bad.j2}}\n")

    assert fault.startswith("monitor.yaml:8:17: templates.x.file: line 3: ")


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    (tmp_path / "chat.j2").write_text("one", encoding="utf-8")
    settings = loaded(tmp_path, SOURCE + "templates: {x: {file: chat.j2}}\n")
    (tmp_path / "chat.j2").unlink()

    with pytest.raises(errors.Misconfigured, match=r"chat\.j2: cannot be read"):
        templating.library(settings)
