import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor import errors
from monitor.core.model import InstanceKey, Snapshot, Step, host_id
from monitor.job import ask, lenient
from monitor.job.v2 import V2
from tests.job import recorded


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_finished_job_is_read_as_newer_servers_spell_it() -> None:
    assert recorded.decipher(recorded.read("failed")) == Snapshot(
        status=4,
        name="API Quick execution script",
        operator="admin",
        created_at=utc(2024, 5, 20, 2, 0, 0),
        started_at=utc(2024, 5, 20, 2, 0, 1),
        ended_at=utc(2024, 5, 20, 2, 0, 9),
        steps=(
            Step(
                step_instance_id=20000311,
                status=4,
                name="API Quick execution script",
                type=1,
                started_at=utc(2024, 5, 20, 2, 0, 1),
                ended_at=utc(2024, 5, 20, 2, 0, 9),
                hosts={
                    host_id("10.0.0.1", 0): 9,
                    host_id("10.0.0.2", 0): 104,
                    host_id("10.0.0.3", 3): 310,
                },
            ),
        ),
    )


def test_a_finished_job_is_read_as_the_document_spells_it() -> None:
    key = InstanceKey("prod", "biz", "1", 100)

    snapshot = recorded.decipher(recorded.read("as_documented"), key)

    assert snapshot == Snapshot(
        status=4,
        name="deploy nginx",
        operator="admin",
        plan_id=1000017,
        created_at=utc(2018, 3, 15, 4, 56, 35),
        started_at=utc(2018, 3, 15, 4, 56, 35),
        ended_at=utc(2018, 3, 15, 4, 56, 39),
        steps=(
            Step(
                step_instance_id=75,
                status=4,
                name="restart",
                type=1,
                started_at=utc(2018, 3, 15, 4, 56, 35),
                ended_at=utc(2018, 3, 15, 4, 56, 39),
                hosts={host_id("10.0.0.1", 0): 9},
            ),
        ),
    )


def test_numbers_as_strings_missing_fields_and_odd_times_are_read() -> None:
    key = InstanceKey("prod", "biz", "1", 100)

    snapshot = recorded.decipher(recorded.read("old_server"), key)

    assert snapshot == Snapshot(
        status=3,
        name="old",
        operator="admin",
        created_at=utc(2015, 1, 2, 3, 4, 5),
        steps=(
            Step(
                step_instance_id=75,
                status=3,
                execute_count=1,
                name="first",
                type=1,
                hosts={host_id("10.0.0.1", 0): 3},
            ),
            Step(step_instance_id=76, status=5),
        ),
    )


def test_waiting_for_a_person_is_not_finished_whatever_the_server_says() -> None:
    key = InstanceKey("prod", "biz", "2", 20000154)

    snapshot = recorded.decipher(recorded.read("waiting_for_a_person"), key)

    assert not snapshot.finished
    assert [step.execute_count for step in snapshot.steps] == [2, 0, 0]
    assert [dict(step.hosts) for step in snapshot.steps] == [
        {"0:10.0.0.1": 320, "3:": 9},
        {},
        {},
    ]


def test_a_block_may_hold_several_steps_or_none() -> None:
    tree = recorded.tree()
    step = tree["data"]["blocks"][0]["step_instances"][0]
    other = step | {"step_instance_id": 7}
    tree["data"]["blocks"] = [{}, {"step_instances": [step, other]}]

    snapshot = recorded.decipher(recorded.dump(tree))

    assert [s.step_instance_id for s in snapshot.steps] == [20000311, 7]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-20 10:00:00", utc(2024, 5, 20, 2)),
        ("2024-05-20 10:00:00 +0800", utc(2024, 5, 20, 2)),
        ("2024-05-20 10:00:00 -0330", utc(2024, 5, 20, 13, 30)),
        ("2024-05-20T10:00:00+00:00", utc(2024, 5, 20, 10)),
        ("0001-01-01 00:00:00", None),
        ("2024-13-40 10:00:00", None),
        ("", None),
        (None, None),
        (1716170400000, None),
        ({"year": 2024}, None),
    ],
)
def test_a_time_is_utc_or_unknown(text: object, moment: datetime | None) -> None:
    tree = recorded.tree()
    tree["data"]["job_instance"]["start_time"] = text

    assert recorded.decipher(recorded.dump(tree)).started_at == moment


def test_a_hostile_name_is_bounded_and_made_printable() -> None:
    tree = recorded.tree()
    tree["data"]["job_instance"]["name"] = "a\x1b[2J\n\u202eb\x00" + "c" * 10_000

    name = recorded.decipher(recorded.dump(tree)).name

    assert name.startswith("a[2J bcc")
    assert len(name) <= lenient.NAME
    assert name.isprintable()


def broken(change: Callable[[Any], object]) -> bytes:
    tree = recorded.tree()
    change(tree)
    return recorded.dump(tree)


@pytest.mark.parametrize(
    "body",
    [
        broken(lambda t: t["data"]["job_instance"].update(job_instance_id=20000154)),
        broken(lambda t: t["data"]["job_instance"].pop("job_instance_id")),
        broken(lambda t: t["data"]["job_instance"].pop("status")),
        broken(lambda t: t["data"]["job_instance"].update(status=None)),
        broken(lambda t: t["data"]["job_instance"].update(status="running")),
        broken(lambda t: t["data"]["job_instance"].update(status=2**70)),
        broken(lambda t: t["data"].pop("job_instance")),
        broken(lambda t: t["data"].update(blocks=[{"step_instances": [{}]}])),
        broken(lambda t: t.update(data=None)),
        broken(lambda t: t.update(data=[])),
        broken(lambda t: t.pop("data")),
        recorded.read("failed").replace(b"10.0.0.2", b"10.0\\n.2"),
        recorded.read("failed").replace(b"10.0.0.2", b"1" * 500),
        recorded.read("failed").replace(b"10.0.0.2", b"10.0.0.2#5"),
        recorded.read("failed").replace(b"API Quick", b"\xff"),
        recorded.read("failed").replace(b"-1", b"[" * 100_000 + b"]" * 100_000),
    ],
)
def test_an_answer_that_is_not_about_this_instance_is_garbled(body: bytes) -> None:
    with pytest.raises(errors.Garbled) as caught:
        recorded.decipher(body)

    assert not caught.value.whole_source


@pytest.mark.parametrize("length", range(1, len(recorded.read("failed")) - 2, 37))
def test_a_truncated_answer_is_an_error_and_no_snapshot(length: int) -> None:
    with pytest.raises(errors.Garbled):
        recorded.decipher(recorded.read("failed")[:length])


@given(st.binary(max_size=2_000), st.integers(100, 599))
@example(b'{"result":true,"code":0,"data":' + b"[" * 100_000, 200)
@example(b'{"code":' + b"9" * 10_000 + b"}", 200)
@example(b'{"code":1,"result":false,"message":"\\ud800"}', 200)
@example(b"\xef\xbb\xbf{}", 200)
@example(b'{"error":{"code":"NOT_FOUND","details":[null]}}', 404)
def test_no_bytes_raise_anything_but_a_source_error(body: bytes, status: int) -> None:
    with pytest.raises(errors.SourceError) as caught:
        recorded.decipher(body, status=status)

    assert len(str(caught.value)) < 512
    assert str(caught.value).isprintable()


@given(st.data())
def test_a_damaged_answer_is_a_snapshot_or_a_source_error(data: st.DataObject) -> None:
    body = bytearray(recorded.read("failed"))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(start + 20, len(body))))
        body[start:end] = data.draw(st.binary(max_size=20))

    try:
        snapshot = recorded.decipher(bytes(body))
    except errors.SourceError:
        return

    assert isinstance(snapshot, Snapshot)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)


PARTS = "result code code_name message data error permission request_id job_request_id"


@given(st.sampled_from(PARTS.split()), JSON)
def test_any_value_in_the_envelope_is_survived(part: str, value: object) -> None:
    body = msgspec.json.encode(recorded.tree() | {part: value})
    try:
        snapshot = recorded.decipher(body)
    except errors.SourceError:
        return

    assert snapshot == recorded.decipher(recorded.read("failed"))


def test_a_business_is_named_as_a_number_beside_the_credentials() -> None:
    question = V2(recorded.CHINA).look(recorded.KEY, hosts=True)
    body = ask.body(question, {"bk_app_code": "x", "bk_username": "admin"})

    assert json.loads(body) == {
        "bk_app_code": "x",
        "bk_username": "admin",
        "bk_biz_id": 2,
        "job_instance_id": 20000153,
    }


def test_a_business_set_is_named_by_type_and_id() -> None:
    question = V2(recorded.CHINA).look(
        InstanceKey("prod", "biz_set", "9", 1), hosts=True
    )
    body = ask.body(question, {})

    assert json.loads(body) == {
        "bk_scope_type": "biz_set",
        "bk_scope_id": "9",
        "job_instance_id": 1,
    }
