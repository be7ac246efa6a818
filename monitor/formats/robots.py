"""What the robots of group chats take: WeCom, DingTalk, Feishu and Slack.

Each has a markup of its own, in which hostile text must not call people or hide
where a link leads, a limit of size, and a way to say that it did not take a
message although it answered 200. Sources, read 2026-11:

- WeCom: developer.work.weixin.qq.com, document/path/91770; markdown has at most
  4096 bytes of UTF-8; 20 messages a minute.
- DingTalk: open.dingtalk.com, document/robots/custom-robot-access; a body has at
  most 20,000 bytes; 20 messages a minute, then none for ten minutes.
- Feishu: open.feishu.cn, document/client-docs/bot-v3/add-custom-bot; a body has at
  most 20 KB; 100 messages a minute and 5 a second.
- Slack: docs.slack.dev, incoming webhooks and Block Kit; 3,000 characters of the
  text of a section, 150 of a header; errors have a status of their own.
"""

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from monitor import errors

WECOM_MAX: Final = 4096
DINGTALK_MAX: Final = 20_000
FEISHU_MAX: Final = 20_000
"""Bytes of a body, with room for the signature below 20 KB."""

SLACK_MAX: Final = 3000
HEADER_MAX: Final = 150

Payload = dict[str, Any]


class Heading(Struct, frozen=True):
    """*text* is not escaped; *severity* is empty when all is well."""

    text: str
    severity: str


class Robot(Struct, frozen=True, kw_only=True):
    """*code* is where the answer says 0 for a message that was taken; "": the status says all.

    *busy* are codes after which to try again, and when; *unproven* those after which
    our secret is to be read anew.
    """

    name: str
    escape: Callable[[str], str]
    payload: Callable[[Heading, str], Payload]
    fits: Callable[[Payload, bytes], bool]
    code: str = ""
    busy: Mapping[int, timedelta | None] = {}
    unproven: frozenset[int] = frozenset()
    sign: Callable[[str, bytes, str, datetime], tuple[str, bytes]] | None = None


class Unproven(errors.Rejected):
    """The robot does not believe our signature."""


# These have no escapes that all their clients know, so that what has a meaning is
# replaced by what looks alike.
_ALIKE: Final = str.maketrans("<>[]`*@#", "＜＞［］ˋ＊＠＃")

# Source: Feishu's documentation of markdown in cards, the table of special characters.
_ENTITIES: Final = {ord(c): f"&#{ord(c)};" for c in "&<>[]()`*~_\\#"}

# Older clients of Feishu show a notice in place of a card with lists.
_LIST: Final = re.compile(r"^(\d*)([-+.])(?=\s|$)")

# Source: Slack's documentation of text formatting: these three and no others.
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "ˋ"})


def _for_feishu(text: str) -> str:
    escaped = text.translate(_ENTITIES)
    return _LIST.sub(lambda item: f"{item[1]}&#{ord(item[2])};", escaped)


def _wecom(_: Heading, text: str) -> Payload:
    return {"msgtype": "markdown", "markdown": {"content": text}}


def _dingtalk(heading: Heading, text: str) -> Payload:
    markdown = {"title": heading.text, "text": text}
    return {"msgtype": "markdown", "markdown": markdown, "at": {"isAtAll": False}}


_COLOURS: Final = {"critical": "red", "warning": "orange", "": "green"}


def _feishu(heading: Heading, text: str) -> Payload:
    card = {
        "config": {"wide_screen_mode": True},
        "header": {
            "title": {"tag": "plain_text", "content": heading.text},
            "template": _COLOURS.get(heading.severity, "orange"),
        },
        "elements": [{"tag": "markdown", "content": text}],
    }
    return {"msg_type": "interactive", "card": card}


def _slack(heading: Heading, text: str) -> Payload:
    header = {"type": "plain_text", "text": heading.text[:HEADER_MAX], "emoji": False}
    # Verbatim: names and addresses in the text become neither mentions nor links.
    section = {"type": "mrkdwn", "text": text, "verbatim": True}
    return {
        "text": heading.text.translate(_SLACK),
        "blocks": [
            {"type": "header", "text": header},
            {"type": "section", "text": section},
        ],
    }


def _sign_dingtalk(
    url: str, body: bytes, secret: str, now: datetime
) -> tuple[str, bytes]:
    moment = str(int(now.timestamp() * 1000))
    signature = _signature(secret, f"{moment}\n{secret}")
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}timestamp={moment}&sign={quote(signature, safe='')}", body


def _sign_feishu(
    url: str, body: bytes, secret: str, now: datetime
) -> tuple[str, bytes]:
    moment = str(int(now.timestamp()))
    signed = {
        "timestamp": moment,
        # The key is what others sign, and nothing is signed with it.
        "sign": _signature(f"{moment}\n{secret}", ""),
        **msgspec.json.decode(body, type=dict[str, Any]),
    }
    return url, msgspec.json.encode(signed)


def _signature(key: str, text: str) -> str:
    digest = hmac.digest(key.encode(), text.encode(), "sha256")
    return base64.b64encode(digest).decode()


_MINUTE: Final = timedelta(minutes=1)

WECOM: Final = Robot(
    name="wecom",
    escape=lambda text: text.translate(_ALIKE),
    payload=_wecom,
    fits=lambda payload, _: len(payload["markdown"]["content"].encode()) <= WECOM_MAX,
    code="errcode",
    busy={-1: None, 45009: _MINUTE, 45033: None},
)

DINGTALK: Final = Robot(
    name="dingtalk",
    escape=lambda text: text.translate(_ALIKE),
    payload=_dingtalk,
    fits=lambda _, body: len(body) <= DINGTALK_MAX,
    code="errcode",
    busy={-1: None, 130101: timedelta(minutes=10), 410100: _MINUTE},
    unproven=frozenset({310000}),
    sign=_sign_dingtalk,
)

FEISHU: Final = Robot(
    name="feishu",
    escape=_for_feishu,
    payload=_feishu,
    fits=lambda _, body: len(body) <= FEISHU_MAX,
    code="code",
    busy={11232: _MINUTE, 11233: _MINUTE, 99991400: _MINUTE},
    unproven=frozenset({19021}),
    sign=_sign_feishu,
)

SLACK: Final = Robot(
    name="slack",
    escape=lambda text: text.translate(_SLACK),
    payload=_slack,
    fits=lambda payload, _: len(payload["blocks"][1]["text"]["text"]) <= SLACK_MAX,
)

ROBOTS: Final[Mapping[str, Robot]] = {
    robot.name: robot for robot in (WECOM, DINGTALK, FEISHU, SLACK)
}


def refusal(robot: Robot, said: str, what: str) -> errors.SinkError | None:
    """Say what follows from what *robot* answered with a good status; None: taken."""
    if not robot.code:
        return None
    try:
        answer = msgspec.json.decode(said, type=dict[str, Any])
        code = int(answer[robot.code])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return errors.Undelivered(f"{what} what no {robot.name} robot answers")
    if code == 0:
        return None
    why = str(answer.get("errmsg") or answer.get("msg") or "")
    text = f"{what} {robot.code} {code}{': ' if why else ''}{why}"
    if code in robot.busy or "too many request" in why.lower():
        return errors.Undelivered(text, retry_after=robot.busy.get(code))
    if code in robot.unproven:
        return Unproven(text)
    return errors.Rejected(text)


def address(link: str) -> str:
    """Write a link so that no markup ends early in it; "" for what is none.

    >>> address("https://job.example.com/a?b=(c)|d")
    'https://job.example.com/a?b=%28c%29%7Cd'
    """
    if not link.startswith(("https://", "http://")):
        return ""
    return quote(link, safe="/:?#@&=+,;%-._~$")
