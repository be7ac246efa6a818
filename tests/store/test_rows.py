"""The least that the first version stored: whatever was added since has a default."""

from datetime import UTC, datetime

import msgspec
import pytest

from monitor import errors
from monitor.core.alerts import Alert, Name
from monitor.core.message import Message
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.state import Phase, State
from monitor.core.telling import Heard, Told
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.store import rows

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = "prod/biz/2/20000153"
HOST = HostId("0:10.0.0.1")


def packed(**fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


def test_the_state_of_an_instance_that_the_first_version_stored_can_be_read() -> None:
    failure = {"status": 104, "execute_count": 1}
    step = {"step_instance_id": 7, "status": 4, "failures": {HOST: failure}}
    attempt = {"step_instance_id": 7, "execute_count": 1}
    alert = {"name": "hosts_failed", "severity": "critical", "since": NOW}
    stored = packed(
        key=KEY,
        phase="retired",
        snapshot={"status": 4, "steps": [step]},
        alerts={"hosts_failed/7": {**alert, "attempt": attempt}},
    )

    assert rows.state(stored) == State(
        key=KEY,
        phase=Phase.RETIRED,
        snapshot=Snapshot(
            status=4,
            steps=(
                Step(step_instance_id=7, status=4, failures={HOST: Failure(104, 1)}),
            ),
        ),
        alerts={
            "hosts_failed/7": Alert(
                name=Name.HOSTS_FAILED,
                severity=Severity.CRITICAL,
                since=NOW,
                attempt=Attempt(7, 1),
            )
        },
    )


def test_a_message_that_the_first_version_stored_can_be_read() -> None:
    least = {"id": f"{KEY}#1", "key": KEY, "type": "bkjob.instance.appeared"}
    stored = packed(**least, source="prod", subject=None, time=NOW, data=b"{}")

    assert rows.message(stored) == Message(
        id=f"{KEY}#1",
        key=KEY,
        type="bkjob.instance.appeared",
        source="prod",
        subject=None,
        time=NOW,
        data=b"{}",
    )


def test_what_a_sink_was_told_by_the_first_version_can_be_read() -> None:
    heard = {"since": NOW, "severity": "warning", "occasions": 2, "failed": 1}

    assert rows.told(packed(at=NOW, alerts={"job_failed": heard})) == Told(
        at=NOW, alerts={"job_failed": Heard(NOW, Severity.WARNING, 2, 1)}
    )


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert rows.state(packed(key=KEY, tomorrow=1)) == State(key=KEY)


def test_what_cannot_be_read_is_an_error_of_the_store() -> None:
    with pytest.raises(errors.StoreError, match="damaged row"):
        rows.state(b"\xc1")
