"""The published shapes, and that everything emitted has them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from monitor.core import alerts, reach, state, telling, transitions
from monitor.core.clusters import Tail, Tails
from monitor.core.message import NOTIFICATION, Message
from monitor.core.model import SCOPE_TYPES, host_id
from monitor.core.state import State
from monitor.core.telling import Rules, Speak, Why
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from tests.core import lives, saying
from tests.core.builders import FRAME, NOW, hosts, job, step
from tests.core.lives import Chapter, Turn, lived

laws = settings(max_examples=40, deadline=None)

DOCS = Path(__file__).parents[2] / "docs"
EVENT, NOTIFIED = (
    msgspec.json.decode((DOCS / f"{name}.schema.json").read_bytes())
    for name in ("events", "notification")
)
EVENTS = Draft202012Validator(EVENT)
NOTIFICATIONS = Draft202012Validator(NOTIFIED)

SOURCE = Frame(source="prod", key="prod")
SCOPE = Frame(source="prod", key="prod/biz/2", subject="biz/2")


def emitted(message: Message) -> Any:
    """Read a message as its receiver would, valid or not at all."""
    cloudevent = msgspec.json.decode(message.cloudevent())
    known = NOTIFICATIONS if message.type == NOTIFICATION else EVENTS
    known.validate(cloudevent)
    return cloudevent


def spoken(life: list[Chapter]) -> Iterator[Message]:
    heard = None
    for number, chapter in enumerate(life, start=1):
        holding = [*chapter.after.alerts.values()]
        decision = saying.decide(holding, heard, chapter.now, Rules())
        if isinstance(decision, Speak):
            heard = telling.hearing(decision, heard, chapter.now)
            yield saying.build(
                FRAME,
                chapter.after.snapshot,
                decision,
                number=number,
                last_sequence=chapter.after.sequence,
                now=chapter.now,
                tails=explained(chapter.after),
            )


def explained(known: State) -> Tails:
    """Give every log that would be asked for; the text needs escaping."""
    text = "rm: cannot remove '/data': \"磁盘\"\n\t<b>x</b>"
    return {
        wanted.step_instance_id: {
            host: Tail(wanted.execute_count, f"{number % 2} {'ab'[number % 2]} {text}")
            for number, host in enumerate(wanted.hosts)
        }
        for wanted in state.wanting(known)
    }


@pytest.mark.parametrize("schema", [EVENT, NOTIFIED])
def test_the_schemas_are_schemas(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)


@laws
@given(lives.a_life())
def test_every_event_of_an_instance_has_the_published_shape(
    life: list[Chapter],
) -> None:
    for chapter in life:
        for event in chapter.events:
            assert emitted(event)["id"] == event.id


@laws
@given(lives.a_life())
def test_every_notification_has_the_published_shape(life: list[Chapter]) -> None:
    for message in spoken(life):
        assert emitted(message)["id"] == message.id


def test_clusters_with_logs_and_their_sum_have_the_published_shape() -> None:
    rows = {host_id(f"10.0.0.{n}", 0): 100 + n for n in range(30)}
    [message] = spoken([*lived([job(4, step(4, rows))])])

    found = emitted(message)["data"]["alerts"][0]["clusters"]
    assert "log" in found[0]
    assert found[-1]["kinds"] == 20


def test_events_of_many_hosts_have_the_published_shape() -> None:
    rows = {host_id(f"10.0.{n // 250}.{n % 250}", 0): 104 for n in range(1001)}
    life = [*lived([job(4, step(4, rows))])]

    parts = [emitted(event)["data"].get("part") for event in life[0].events]
    assert [part for part in parts if part] == [1, 2]
    assert [
        emitted(message)["data"]["alerts"][0]["omitted"] for message in spoken(life)
    ] == [1]


@pytest.mark.parametrize("cause", reach.Cause)
def test_events_of_a_source_have_the_published_shape(cause: reach.Cause) -> None:
    lost = state.reached(State(key="prod"), reach.Kind.LOST, cause, SOURCE, NOW)
    restored = state.reached(lost.state, reach.Kind.RESTORED, None, SOURCE, NOW)

    types = [emitted(event)["type"] for event in (*lost.events, *restored.events)]
    assert types == [
        "bkjob.source.lost",
        "bkjob.alert.raised",
        "bkjob.source.restored",
        "bkjob.alert.resolved",
    ]


def test_messages_about_a_scope_have_the_published_shape() -> None:
    refused = state.refused(State(key=SCOPE.key), "no view_history", SCOPE, NOW)
    assert refused is not None
    holding = tuple(refused.state.alerts.values())
    message = saying.build(
        SCOPE,
        None,
        saying.speak(Why.FIRST, holding),
        number=1,
        last_sequence=1,
        now=NOW,
    )

    assert [emitted(event)["subject"] for event in refused.events] == ["biz/2"]
    assert emitted(message)["data"]["instance"] is None


def test_the_schema_knows_every_type_and_no_other() -> None:
    kinds = {*transitions.Kind, *alerts.Kind, *reach.Kind}

    assert {*EVENT["properties"]["type"]["enum"]} == kinds


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (NOTIFIED["$defs"]["data"]["properties"]["reason"]["enum"], Why),
        (EVENT["$defs"]["data"]["properties"]["cause"]["enum"], reach.Cause),
        (EVENT["$defs"]["alert_name"]["enum"], alerts.Name),
        (EVENT["$defs"]["severity"]["enum"], Severity),
        (
            EVENT["$defs"]["instance"]["properties"]["bk_scope_type"]["enum"],
            SCOPE_TYPES,
        ),
    ],
)
def test_the_schema_knows_every_word_and_no_other(words: Any, known: Any) -> None:
    assert words == [str(word) for word in known]


def test_both_schemas_describe_the_same_things_alike() -> None:
    both = EVENT["$defs"].keys() & NOTIFIED["$defs"].keys() - {"data", "alert"}

    assert both >= {"instance", "step", "host", "labels", "severity"}
    assert {n: EVENT["$defs"][n] for n in both} == {
        n: NOTIFIED["$defs"][n] for n in both
    }


def a_life() -> list[Chapter]:
    return [*lived([job(4, step(4, hosts(_1=9, _2=104))), Turn.RETIRED])]


EVENT_FAULTS: dict[str, Callable[[Any], object]] = {
    "an attribute nobody promised": lambda e: e.update(extra=1),
    "data nobody promised": lambda e: e["data"].update(extra=1),
    "a host with a password": lambda e: e["data"]["hosts"][0].update(password="x"),
    "a sequence as a number": lambda e: e.update(sequence=3),
    "an id without its sequence": lambda e: e.update(id="prod/biz/2/5"),
    "a time without its zone": lambda e: e.update(time="2026-11-23T10:00:00"),
    "failed hosts without a host": lambda e: e["data"].update(hosts=[]),
    "failed hosts of no step": lambda e: e["data"].pop("step"),
    "an instance without a subject": lambda e: e.pop("subject"),
    "a part of nothing": lambda e: e["data"].update(part=1),
    "an unknown type": lambda e: e.update(type="bkjob.hosts.lost"),
}


@pytest.mark.parametrize("fault", EVENT_FAULTS)
def test_the_schema_of_events_refuses(fault: str) -> None:
    event = emitted(a_life()[0].events[2])
    EVENT_FAULTS[fault](event)

    with pytest.raises(ValidationError):
        EVENTS.validate(event)


def cluster(notification: Any) -> Any:
    return notification["data"]["alerts"][0]["clusters"][0]


NOTIFICATION_FAULTS: dict[str, Callable[[Any], object]] = {
    "data nobody promised": lambda n: n["data"].update(extra=1),
    "trouble without an alert": lambda n: n["data"].update(alerts=[]),
    "trouble that is resolved": lambda n: n["data"].update(status="resolved"),
    "trouble without a severity": lambda n: n["data"].update(severity=""),
    "a reason to be silent": lambda n: n["data"].update(reason="already_told"),
    "a cluster with a password": lambda n: cluster(n).update(password="x"),
    "a log longer than 4 KiB": lambda n: cluster(n).update(log="x" * 4097),
    "a log of nothing": lambda n: cluster(n).update(log=""),
    "an id of an event": lambda n: n.update(id="prod/biz/2/5#3"),
}


@pytest.mark.parametrize("fault", NOTIFICATION_FAULTS)
def test_the_schema_of_notifications_refuses(fault: str) -> None:
    message = emitted(next(spoken(a_life())))
    NOTIFICATION_FAULTS[fault](message)

    with pytest.raises(ValidationError):
        NOTIFICATIONS.validate(message)
