"""The presets for robots: short enough, harmless, in two languages, with all that counts."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.core.message import Message
from monitor.formats import robots
from monitor.formats.library import preset
from monitor.formats.robots import ROBOTS
from tests.core.builders import FRAME, hosts, job, step
from tests.formats.notified import LOG, failing, notified, recovered

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

from monitor.formats import templates

LOCALES = ("en", "zh-CN")
CALLS = ("<@all>", "@everyone", "<!channel>", '<at id="all"></at>', "<@U024BE7LH>")
LINKS = ("[free](https://evil.example)", "<https://evil.example|free>", "![](x)")
every_robot = pytest.mark.parametrize("robot", ROBOTS)
every_locale = pytest.mark.parametrize("locale", LOCALES)


def payload(robot: str, message: Message, locale: str = "en") -> Any:
    body = templates.render(preset(robot, locale), message)
    assert ROBOTS[robot].fits(json.loads(body), body)
    return json.loads(body)


def text(robot: str, message: Message, locale: str = "en") -> str:
    said = payload(robot, message, locale)
    match robot:
        case "wecom":
            return str(said["markdown"]["content"])
        case "dingtalk":
            return str(said["markdown"]["text"])
        case "feishu":
            title = said["card"]["header"]["title"]["content"]
            return f"{title}\n{said['card']['elements'][0]['content']}"
        case _:
            header, section = said["blocks"]
            return f"{header['text']['text']}\n{section['text']['text']}"


def plain(shown: str) -> str:
    """Give the text as a person reads it."""
    for code, entity in robots._ENTITIES.items():
        shown = shown.replace(entity, chr(code))
    return shown


@every_robot
@every_locale
def test_what_failed_is_said_with_counts_reasons_examples_and_log(
    robot: str, locale: str
) -> None:
    [message] = notified(failing(9))

    said = plain(text(robot, message, locale))

    assert "deploy" in said
    assert "prod/biz/2/20000153" in said
    assert "team=sre" in said
    assert "9/10" in said
    assert "9 × " in said
    assert "10.0.1.0, 10.0.1.1, 10.0.1.2" in said
    assert LOG in said
    assert "https://job.example.com/api_execute/20000153" in said


@every_robot
@every_locale
@pytest.mark.parametrize("number", [0, 1])
def test_every_message_holds_a_word_that_may_be_the_key_word_of_a_robot(
    robot: str, locale: str, number: int
) -> None:
    story = notified(failing(), recovered())
    of_source = structs.replace(
        FRAME, key="prod", subject=None, instance=None, labels={}, web_url=None
    )
    whole_source = notified(failing(), recovered(), frame=of_source)

    for message in (story[number], whole_source[number]):
        assert {"en": "Job:", "zh-CN": "作业:"}[locale] in text(robot, message, locale)


@every_robot
def test_english_and_chinese_say_it_in_their_words(robot: str) -> None:
    [message] = notified(failing(9))

    english, chinese = (text(robot, message, locale) for locale in LOCALES)

    assert "CRITICAL" in english
    assert "non-zero exit code" in english
    assert "and 6 more" in english
    assert "Open in JOB" in english
    assert "严重" in chinese
    assert "脚本返回码非零" in chinese
    assert "等，另有 6 台" in chinese
    assert "在作业平台查看" in chinese


@every_robot
@every_locale
def test_a_recovery_says_what_is_over(robot: str, locale: str) -> None:
    _, message = notified(failing(), recovered())

    said = text(robot, message, locale)

    assert {"en": "RECOVERED", "zh-CN": "已恢复"}[locale] in said
    assert {"en": "Hosts failed", "zh-CN": "主机执行失败"}[locale] in said
    assert "9 × " not in said


@every_robot
def test_a_message_about_several_says_how_many_and_names_each_job(robot: str) -> None:
    [one] = notified(failing(2))
    data = msgspec.json.decode(one.data)
    group = 'prod/{team="sre"}'
    changed = {
        **data,
        "instance": None,
        "group": group,
        "summary": f"{group}: 9 alerts",
    }
    several = structs.replace(one, key=group, data=msgspec.json.encode(changed))
    storm = {**changed, "reason": "storm", "omitted": 700}

    said = text(robot, several)
    stormy = text(robot, structs.replace(several, data=msgspec.json.encode(storm)))

    assert "9 alerts" in said
    assert "Hosts failed" in said
    assert "· deploy" in said
    assert "much at once" in stormy
    assert "and 700 more alerts" in stormy


@every_robot
def test_an_alert_without_failed_hosts_says_what_it_is(robot: str) -> None:
    [message] = notified(job(4, step(4, hosts(_0=9))))

    said = text(robot, message)

    assert "job ended: failed" in said
    assert "0/" not in said


def test_no_log_makes_a_list_of_a_card_for_feishu() -> None:
    [message] = notified(failing(), log="- one\n+ two\n3. three\n4 - four")

    lines = text("feishu", message).splitlines()

    assert "&#45; one" in lines
    assert "&#43; two" in lines
    assert "3&#46; three" in lines
    assert "4 - four" in lines


@every_robot
def test_what_was_cut_is_said(robot: str) -> None:
    many = {f"_{n}": 300 + n for n in range(1, 60)}
    log = "\n".join(f"line {n} {'x' * 200}" for n in range(30))
    [message] = notified(job(4, step(4, hosts(_0=9, **many))), log=log)

    said = text(robot, message)

    assert "hosts that failed in other ways" in said
    assert "the log is longer" in said


@every_robot
@settings(max_examples=25, deadline=None)
@given(
    name=st.text(max_size=3000),
    log=st.text(max_size=4096),
    label=st.text(max_size=3000),
    count=st.integers(1, 200),
)
def test_anything_fits_whatever_jobs_logs_and_labels_say(
    robot: str, name: str, log: str, label: str, count: int
) -> None:
    frame = structs.replace(FRAME, labels={f"l{n}": label for n in range(30)})
    [message] = notified(failing(count, name=name), frame=frame, log=log)

    for locale in LOCALES:
        payload(robot, message, locale)


@every_robot
@pytest.mark.parametrize("fill", ["啊", "<", "\\", '"', "&", "`", "😀"])
def test_the_worst_text_fits(robot: str, fill: str) -> None:
    long = fill * 4000
    many = {f"_{n}": 300 + n for n in range(1, 60)}
    story = structs.replace(job(4, step(4, hosts(_0=9, **many))), name=long)
    frame = structs.replace(
        FRAME,
        labels={f"{long}{n}": long for n in range(3)},
        web_url="https://job.example.com/" + "x" * 460,
    )
    [message] = notified(story, frame=frame, log="\n".join([long[:300]] * 30))

    payload(robot, message)


@every_robot
@pytest.mark.parametrize("hostile", [*CALLS, *LINKS])
def test_nobody_is_called_and_no_link_hides_where_it_leads(
    robot: str, hostile: str
) -> None:
    frame = structs.replace(FRAME, labels={"owner": hostile})
    [message] = notified(
        failing(name=hostile), frame=frame, log=f"{hostile}\n# {hostile}"
    )

    shown = markup(payload(robot, message))

    for ours in (OURS_SLACK, *re.findall(r"</?font[^<>]*>", shown)):
        shown = shown.replace(ours, "")
    assert "<" not in shown
    assert shown.count("](") == (0 if robot == "slack" else 1)


OURS_SLACK = "<https://job.example.com/api_execute/20000153|Open in JOB>"


def markup(said: Mapping[str, Any]) -> str:
    """Give what the robot reads as markup, and no other text."""
    match said:
        case {"markdown": {"content": str(shown)}} | {"markdown": {"text": str(shown)}}:
            return shown
        case {"card": {"elements": [{"content": str(shown)}]}}:
            return shown
        case {"text": str(fallback), "blocks": [_, {"text": {"text": str(shown)}}]}:
            # Brackets are no link there, whatever follows them.
            return f"{fallback}\n{shown}".replace("](", "] (")
        case _:
            raise AssertionError(said)


def test_slack_turns_no_name_or_address_into_a_call_or_a_link() -> None:
    [message] = notified(failing(name="@everyone"))

    header, section = payload("slack", message)["blocks"]

    assert header["text"]["type"] == "plain_text"
    assert section["text"]["verbatim"] is True


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://job.example.com/a?b=1&c=2#d", "https://job.example.com/a?b=1&c=2#d"),
        ("https://x/a) [b](c", "https://x/a%29%20%5Bb%5D%28c"),
        ("https://x/a|b>c", "https://x/a%7Cb%3Ec"),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_a_link_ends_where_it_ends_and_leads_to_the_web(link: str, shown: str) -> None:
    assert robots.address(link) == shown


def test_a_template_of_ones_own_may_be_for_a_robot() -> None:
    [message] = notified(failing(name="<@all>"))
    mine = structs.replace(preset("wecom", "en"), source="**{{ brief.job }}**")

    said = msgspec.json.decode(templates.render(mine, message))

    assert said == {"msgtype": "markdown", "markdown": {"content": "**＜＠all＞**"}}
