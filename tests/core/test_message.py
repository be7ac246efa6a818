import msgspec
import pytest

from monitor.core import message
from monitor.core.message import Kind, Message
from tests.core.builders import NOW


def a_message(type_: str, *, subject: str | None, sequence: int | None) -> Message:
    return Message(
        id="prod/biz/2/5#7",
        key="prod/biz/2/5",
        type=type_,
        source="prod",
        subject=subject,
        time=NOW,
        sequence=sequence,
        data=b'{"after":{"status":99}}',
        traits={"team": "sre"},
    )


def test_an_event_travels_as_a_cloudevent_without_our_traits() -> None:
    event = a_message("bkjob.instance.changed", subject="biz/2/5", sequence=7)

    assert msgspec.json.decode(event.cloudevent()) == {
        "specversion": "1.0",
        "id": "prod/biz/2/5#7",
        "source": "/job-monitor/prod",
        "type": "bkjob.instance.changed",
        "subject": "biz/2/5",
        "time": "2026-11-23T10:00:00Z",
        "datacontenttype": "application/json",
        "sequence": "000000000007",
        "partitionkey": "prod/biz/2/5",
        "data": {"after": {"status": 99}},
    }


def test_attributes_that_do_not_apply_are_absent() -> None:
    about_a_source = a_message("bkjob.source.lost", subject=None, sequence=None)

    assert msgspec.json.decode(about_a_source.cloudevent()).keys() == {
        *("specversion", "id", "source", "type", "time"),
        *("datacontenttype", "partitionkey", "data"),
    }


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (message.NOTIFICATION, Kind.ALERTS),
        ("bkjob.alert.raised", Kind.EVENTS),
        ("bkjob.hosts.failed", Kind.EVENTS),
    ],
)
def test_only_notifications_go_to_who_asks_for_alerts(type_: str, kind: Kind) -> None:
    assert a_message(type_, subject=None, sequence=None).kind is kind


def test_a_message_survives_its_way_through_the_store() -> None:
    event = a_message("bkjob.instance.changed", subject=None, sequence=7)
    stored = msgspec.msgpack.encode(event)

    assert msgspec.msgpack.decode(stored, type=Message) == event
