"""``sinks:`` is checked before anything is opened, and shows no secret."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from monitor.core import matchers
from monitor.core.message import Kind
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.log.config import LogConfig
from monitor.sinks.webhook.config import WebhookConfig

CANARY = "canary-7f3a9d"
HOOK = {"name": "oncall", "kind": "webhook", "url": "https://hooks.example.com/x"}


def read(**fields: Any) -> Any:
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(fields)


def hook(**fields: Any) -> WebhookConfig:
    config = read(**{**HOOK, **fields})
    assert isinstance(config, WebhookConfig)
    return config


def test_a_sink_takes_alerts_and_the_log_takes_both() -> None:
    assert hook().send == (Kind.ALERTS,)
    assert read(name="journal", kind="log").send == (Kind.EVENTS, Kind.ALERTS)


def test_the_kind_chooses_the_keys() -> None:
    assert isinstance(read(name="journal", kind="log"), LogConfig)
    with pytest.raises(ValidationError, match="url"):
        read(name="journal", kind="log", url="https://hooks.example.com")


def test_matchers_are_read_and_their_faults_are_shown() -> None:
    config = hook(match=['severity="critical"', "team=~sre|dba"])

    assert config.matchers == (
        matchers.parse("severity=critical"),
        matchers.parse('team=~"sre|dba"'),
    )
    with pytest.raises(ValidationError, match='write name="value"'):
        hook(match=["severity"])


def test_a_timeout_is_a_duration() -> None:
    assert hook().timeout == timedelta(seconds=15)
    assert hook(timeout="1m30s").timeout == timedelta(seconds=90)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "On Call"},
        {"name": ""},
        {"kind": "carrier-pigeon"},
        {"send": []},
        {"send": ["gossip"]},
        {"match": ['team=~"("']},
        {"timeout": "0s"},
        {"timeout": "11m"},
        {"timeout": 15},
        {"timeout": "soon"},
        {"url": "ftp://hooks.example.com"},
        {"url": "hooks.example.com"},
        {"url": "https://"},
        {"url": "https://user:word@hooks.example.com"},
        {"url": "https://hooks.example.com:99999"},
        {"url": "https://hooks.example.com:0"},
        {"url": "https://hooks.example.com/a b"},
        {"url": "https://hooks.example.com/\x00"},
        {"url": "https://hooks.example.com/" + "x" * 2048},
        {"url": "https://[::1"},
        {"secret": ""},
        {"secret": " "},
        {"secret": "whsec_"},
        {"secret": "whsec_!"},
        {"secret": "a-secret", "secret_file": "/run/secret"},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"Webhook-Id": "1"}},
        {"headers": {"Two Words": "1"}},
        {"headers": {"X-Split": "a\r\nHost: b"}},
        {"headers": {"X-Empty": ""}},
        {"headers": {f"X-{n}": "1" for n in range(33)}},
        {"allow_networks": ["10.0.0.1/8"]},
        {"allow_networks": ["intranet"]},
        {"batch": 0},
        {"format": "xml"},
        {"format": "template"},
        {"template": "wecom"},
        {"locale": "zh-CN"},
        {"robot_secret": "x"},
        {"format": "template", "template": "dingtalk", "robot_secret": ""},
        {
            "format": "template",
            "template": "dingtalk",
            "robot_secret": "x",
            "robot_secret_file": "/run/x",
        },
        {"format": "alertmanager", "send": ["alerts", "events"]},
        {"retries": 3},
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hook(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": f"whsec_{CANARY}!"},
        {"secret": CANARY, "secret_file": "/run/secret"},
        {"url": f"https://{CANARY}@hooks.example.com"},
        {"url": f"ftp://hooks.example.com/{CANARY}"},
        {"headers": {"Authorization": f"{CANARY}\n"}},
        {"token": CANARY},
    ],
)
def test_no_secret_is_in_a_refusal(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        WebhookConfig.model_validate({**HOOK, **fields})

    assert CANARY not in str(refused.value)


def test_no_secret_is_in_what_is_shown_of_a_configuration() -> None:
    webhook = hook(
        url=f"https://hooks.example.com/{CANARY}",
        secret=CANARY,
        headers={"Authorization": CANARY},
        format="template",
        template="dingtalk",
        robot_secret=CANARY,
    )
    plugin = read(
        name="x", kind="plugin", plugin="file", options={"token": CANARY, "deep": [1]}
    )

    for config in (webhook, plugin):
        assert CANARY not in repr(config)
        assert CANARY not in repr(config.model_dump())
        assert CANARY not in config.model_dump_json()


def test_who_takes_webhooks_of_alertmanager_is_told_of_every_end() -> None:
    assert hook(format="alertmanager").level is True
    assert hook().level is False


def test_the_origin_is_the_part_of_an_address_that_may_be_shown() -> None:
    assert hook(url="https://hooks.example.com:8443/t/abc?key=def").origin == (
        "https://hooks.example.com:8443"
    )
