"""Templates of the operator: what they may say, and what they cannot do."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import errors
from monitor.core.message import Message
from monitor.formats.library import Library, Template
from tests.formats.notified import failing, notified, recovered
from tests.sinks.messages import an_event

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

from monitor.formats import templates

JSON = "application/json"
HOSTILE = '"}],"x":"\\\n</script><b>&\u2028'


def rendered(
    source: str, message: Message | None = None, *, content_type: str = "text/plain"
) -> str:
    template = Template(name="mine", source=source, content_type=content_type)
    return templates.render(template, message or a_message()).decode()


def a_message(**named: Any) -> Message:
    [message] = notified(failing(2, **named))
    return message


def refused(source: str, *, content_type: str = "text/plain") -> str:
    with pytest.raises(errors.Rejected) as caught:
        rendered(source, content_type=content_type)
    return str(caught.value)


def fault(source: str) -> str:
    return templates.fault(Template(name="mine", source=source))


def test_a_template_sees_the_message_its_data_and_what_is_brief() -> None:
    source = (
        "{{ message.id }} {{ message.time }} {{ data.alerts[0].failed }} "
        "{{ brief.headline }} {{ words.step }} {{ locale }}"
    )

    assert rendered(source) == (
        "prod/biz/2/20000153!1 2026-11-23T10:00:00+00:00 2 CRITICAL · deploy Step en"
    )


def test_events_are_written_too_and_have_nothing_brief() -> None:
    source = "{{ message.type }} {{ data.failed }} {{ brief is none }}"

    assert rendered(source, an_event()) == "bkjob.hosts.failed 2 True"


def test_in_json_a_value_stands_in_quotes_or_is_written_whole() -> None:
    source = (
        '{"text": "{{ data.instance.name }}", "n": {{ data.alerts[0].failed }},'
        ' "none": {{ data.omitted > 0 }}, "all": {{ data | tojson }}}'
    )

    said = msgspec.json.decode(
        rendered(source, a_message(name=HOSTILE), content_type=JSON)
    )

    assert (said["text"], said["n"], said["none"]) == (HOSTILE, 2, False)
    assert said["all"]["instance"]["name"] == HOSTILE


def test_macros_and_joined_values_are_escaped_once() -> None:
    source = (
        "{% macro quoted(x) %}{{ x }}{% endmacro %}"
        '{"a": "{{ quoted(data.instance.name) }}",'
        ' "b": "{{ [data.instance.name, 1] | join(\'-\') }}"}'
    )

    said = msgspec.json.decode(
        rendered(source, a_message(name=HOSTILE), content_type=JSON)
    )

    assert said == {"a": HOSTILE, "b": f"{HOSTILE}-1"}


def test_html_is_escaped_as_html_and_plain_text_not_at_all() -> None:
    source, hostile = "{{ data.instance.name }}", a_message(name="<b>&")

    assert rendered(source, hostile, content_type="text/html") == "&lt;b&gt;&amp;"
    assert rendered(source, hostile) == "<b>&"


def test_what_should_be_json_and_is_none_is_refused() -> None:
    assert "no JSON" in refused("{{ data.summary }}", content_type=JSON)


def test_a_name_that_is_not_there_is_a_mistake_and_not_an_empty_text() -> None:
    assert "'dict object' has no attribute 'sumary'" in refused("{{ data.sumary }}")
    assert "'nobody' is undefined" in refused("{{ nobody }}")
    assert "'nobody' is undefined" in refused("{{ nobody }}", content_type=JSON)
    assert "'nobody' is undefined" in refused("{{ nobody | tojson }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ data.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ data.items.__self__.__class__ }}",
        "{{ (data | list).append(1) }}",
        "{{ data.update({}) }}",
        "{{ '{0.__class__}'.format(data) }}",
        "{{ brief.headline.format() }}",
        "{{ words.step.replace('S', 'x') }}",
        "{{ words.step.zfill(10000000) }}",
        "{{ range.__call__ }}",
        "{{ cycler('a') }}",
        "{{ self.__init__.__globals__ }}",
    ],
)
def test_nothing_is_reached_beyond_what_is_given(source: str) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(1001) %}{% endfor %}",
        "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(s) %}{{ f(s ~ s) }}{% endmacro %}{{ f('xxxxxxxx') }}",
        "{{ 'x' * 100000000 }}",
        "{{ [0] * 100000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '<' " + "| tojson | string" * 40 + " }}",
        "{{ range(1000) | join('x' ~ data.alerts) }}",
        "{% set a = 'x' %}"
        + "{% set a %}{{ a }}{{ a }}{{ a }}{{ a }}{% endset %}" * 30
        + "{{ a }}",
        "{% for a in range(900) %}" + "x" * 2000 + "{% endfor %}",
        "{% set x %}{% for a in range(1000) %}"
        + "x" * 30000
        + "{% endfor %}{% endset %}",
    ],
)
def test_nothing_runs_or_grows_on(source: str) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% if %}", "line 1: Expected an expression"),
        ("\n{{ x | fromat }}", "line 2: No filter named 'fromat'"),
        ("{{ 1 | center(99999999) }}", "No filter named 'center'"),
        ("{% include 'x' %}", "there are no other templates"),
        ("{% import 'x' as y %}", "there are no other templates"),
        ("{% for x in data recursive %}{% endfor %}", "must not be recursive"),
        ("x" * 40_000, "more than 32768 characters"),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "cannot be compiled"),
    ],
)
def test_what_is_no_template_is_found_before_it_is_used(source: str, why: str) -> None:
    assert why in fault(source)


PIECES = (
    *("{{ ", " }}", "{% ", " %}", "{# ", " #}", "for x in ", "if ", "endfor", "endif"),
    *("set y = ", "macro f(x)", "endmacro", "f(", "x", "y", "data", ".alerts", "brief"),
    *("['summary']", "[0]", ".items()", "(", ")", ", ", " | ", "join", "tojson", "sum"),
    *(
        "first",
        "sort",
        "length",
        "default('')",
        "groupby('name')",
        "map(attribute='a')",
    ),
    *("+", "-", "*", "**", "//", "%", "~", "==", "not ", "none", "1", "99", "'a'", " "),
    *("range", "loop", ".cycle", "caller()", "call f(1)", "endcall", "loop.index"),
)


@given(
    st.lists(st.sampled_from(PIECES), max_size=20).map("".join),
    st.sampled_from(["%s", "{{ %s }}", "{%% for x in data %%}{{ %s }}{%% endfor %%}"]),
)
def test_whatever_is_written_is_a_fault_a_body_or_a_refusal(
    written: str, around: str
) -> None:
    template = Template(name="mine", source=around % written, content_type="text/plain")

    if not templates.fault(template):
        with contextlib.suppress(errors.Rejected):
            templates.render(template, a_message())


def test_what_a_person_would_write_is_no_fault() -> None:
    source = (
        "{% set bad = data.alerts | selectattr('failed') | list %}"
        "{% for alert in bad if alert.total %}"
        "{{ loop.index }}/{{ loop.length }} {{ alert.step.name | upper }}: "
        "{{ '%s' | default('x') }} {{ alert.failed * 100 // alert.total }} % "
        "{{ alert.get('link') or '-' }} {{ alert.summary.split(' ')[0] }}"
        "{% else %}nothing{% endfor %}"
    )

    assert fault(source) == ""
    assert rendered(source).startswith("1/1 PUSH: %s 66 % https://job.example.com/")


def test_the_same_message_is_written_the_same() -> None:
    first, last = notified(failing(), recovered())
    source = "{{ data.status }}"

    assert [rendered(source, m) for m in (first, last, first)] == [
        "firing",
        "resolved",
        "firing",
    ]


def test_a_library_knows_presets_and_its_own() -> None:
    mine = Template(name="mine", source="x")
    library = Library({"mine": mine}, "zh-CN")

    assert library.find("mine").locale == "zh-CN"
    assert library.find("mine", "en") == mine
    assert library.find("wecom").robot == "wecom"
    with pytest.raises(errors.Misconfigured, match="known: dingtalk, feishu, mine"):
        library.find("yours")
