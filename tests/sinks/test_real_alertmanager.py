"""Against a real Alertmanager: it receives, groups and resolves, and writes as we do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from msgspec import structs

from monitor import clock
from monitor.core.message import Message
from monitor.formats import alertmanager as format_
from monitor.sinks.alertmanager import sink
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from tests.core.builders import FRAME, NOW
from tests.e2e.waiting import until
from tests.formats.notified import failing, notified, recovered
from tests.support.alertmanagers import Alertmanager, alertmanager

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
ALERT = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL"),
        "fingerprint",
    ],
    "properties": {
        "status": {"enum": ["firing", "resolved"]},
        "labels": {**TEXTS, "required": ["alertname"]},
        "annotations": TEXTS,
        "startsAt": {"type": "string", "format": "date-time"},
        "endsAt": {"type": "string", "format": "date-time"},
        "generatorURL": {"type": "string"},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
}
BODY = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("version", "groupKey", "truncatedAlerts", "status", "receiver"),
        *("groupLabels", "commonLabels", "commonAnnotations", "externalURL", "alerts"),
    ],
    "properties": {
        "version": {"const": "4"},
        "groupKey": {"type": "string", "pattern": r"^\{.*\}:\{.*\}$"},
        "truncatedAlerts": {"type": "integer", "minimum": 0},
        "status": {"enum": ["firing", "resolved"]},
        "receiver": {"type": "string", "minLength": 1},
        "groupLabels": TEXTS,
        "commonLabels": TEXTS,
        "commonAnnotations": TEXTS,
        "externalURL": {"type": "string"},
        "alerts": {"type": "array", "items": ALERT},
    },
}
"""Alertmanager's documentation of webhook_config, read 2026-11, and no more."""

HOSTILE = 'a"b\\c\n{x="y"} 重启 😀'
SOON = timedelta(seconds=1)


def today(*messages: Message) -> list[Message]:
    """Let a story have happened just now: Alertmanager goes by its own clock."""
    shift = clock.utc_now() - NOW - timedelta(minutes=1)
    return [
        structs.replace(_moved(each, shift), time=each.time + shift)
        for each in messages
    ]


def _moved(message: Message, shift: timedelta) -> Message:
    data = msgspec.json.decode(message.data)
    for each in (*data["alerts"], *data["ended"]):
        each["since"] = datetime.fromisoformat(each["since"]) + shift
    return structs.replace(message, data=msgspec.json.encode(data))


@asynccontextmanager
async def pushing(
    am: Alertmanager, *more: str, every: timedelta = SOON
) -> AsyncIterator[AlertmanagerSink]:
    given = {
        "name": "am",
        "kind": "alertmanager",
        "urls": [am.url, *more],
        "allow_networks": ["127.0.0.0/8"],
    }
    config = AlertmanagerConfig.model_validate(given)
    # Quicker than anybody may configure, so that a test need not wait for minutes.
    config = config.model_copy(update={"resend_every": every})
    async with sink.opened(config, now=clock.utc_now) as opened:
        yield opened


async def test_it_groups_what_fails_and_resolves_what_recovers(tmp_path: Path) -> None:
    failed, well = today(*notified(failing(9), recovered(9)))

    async with alertmanager(tmp_path) as am, pushing(am) as ours:
        await ours.deliver(failed)
        firing = await am.tells("firing", "hosts_failed", "job_failed")
        await ours.deliver(well)
        resolved = await am.tells("resolved", "hosts_failed", "job_failed")

        assert await am.alerts() == []
    assert firing["groupLabels"] == {"instance": "prod/biz/2/20000153"}
    assert firing["commonLabels"]["team"] == "sre"
    [hosts_failed] = [a for a in firing["alerts"] if "step" in a["labels"]]
    assert hosts_failed["annotations"]["summary"].startswith("deploy: 9 of 10 hosts")
    assert "No space left on device" in hosts_failed["annotations"]["description"]
    assert resolved["groupKey"] == firing["groupKey"]


async def test_it_holds_an_alert_for_as_long_as_we_do_and_no_longer(
    tmp_path: Path,
) -> None:
    [failed] = today(*notified(failing()))

    async with alertmanager(tmp_path) as am:
        async with pushing(am) as ours:
            await ours.deliver(failed)
            first = await ends(am)
            # Beyond the first end that we gave: only rounds can have moved it.
            await until(lambda: clock.utc_now() > first, "the first end is over")

            assert await ends(am) > first
            assert am.courses == {"hosts_failed": ["firing"], "job_failed": ["firing"]}
        # The daemon is gone, and sends no more.
        await am.tells("resolved", "hosts_failed", "job_failed")


async def ends(am: Alertmanager) -> datetime:
    [one, other] = await am.alerts()
    return min(datetime.fromisoformat(alert["endsAt"]) for alert in (one, other))


async def test_hostile_labels_and_names_are_taken(tmp_path: Path) -> None:
    frame = structs.replace(
        FRAME, labels={HOSTILE: HOSTILE, "__name__": "up", "9": "9", "alertname": "x"}
    )
    [failed] = today(*notified(failing(name=HOSTILE), frame=frame, log=HOSTILE))

    async with alertmanager(tmp_path) as am, pushing(am) as ours:
        await ours.deliver(failed)
        told = await am.tells("firing", "hosts_failed", "job_failed")

    assert told["commonLabels"]["exported_alertname"] == "x"
    assert HOSTILE in told["commonLabels"].values()


async def test_a_member_that_is_down_takes_nothing_from_the_other(
    tmp_path: Path,
) -> None:
    [failed] = today(*notified(failing()))

    async with alertmanager(tmp_path) as am, pushing(am, "http://127.0.0.1:9") as ours:
        await ours.deliver(failed)

        assert await am.tells("firing", "hosts_failed", "job_failed")


async def test_our_webhook_has_the_shape_of_its_own(tmp_path: Path) -> None:
    failed, well = today(*notified(failing(9), recovered(9)))

    async with alertmanager(tmp_path) as am, pushing(am) as ours:
        await ours.deliver(failed)
        its_firing = await am.tells("firing", "hosts_failed", "job_failed")
        await ours.deliver(well)
        its_resolved = await am.tells("resolved", "hosts_failed", "job_failed")

    for message, its in ((failed, its_firing), (well, its_resolved)):
        our = msgspec.json.decode(format_.body(message, receiver="us"))
        check(its)
        check(our)
        assert shape(our) == shape(its)
        assert identities(our) == identities(its)


def check(body: Any) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(body, BODY, format_checker=checker)


def shape(body: dict[str, Any]) -> Any:
    """Give keys and types; of mappings whose keys are anybody's, only the type."""
    free = {"groupLabels", "commonLabels", "commonAnnotations", "labels", "annotations"}
    return {
        key: [shape(each) for each in value]
        if key == "alerts"
        else ("mapping" if key in free else type(value).__name__)
        for key, value in body.items()
    }


def identities(body: dict[str, Any]) -> Any:
    """Give what an alert is known by, and when it began and ended."""
    return sorted(
        (
            alert["fingerprint"],
            alert["status"],
            sorted(alert["labels"].items()),
            moment(alert["startsAt"]),
            moment(alert["endsAt"]),
            # Of what is over we no longer know the step that the link led to.
            alert["generatorURL"] if alert["status"] == "firing" else "",
        )
        for alert in body["alerts"]
    )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_schema_of_the_documentation_is_kept_without_an_alertmanager() -> None:
    for message in notified(failing(9), recovered(9)):
        check(msgspec.json.decode(format_.body(message, receiver="us")))
