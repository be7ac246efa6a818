"""What v3 and v4 say about one instance; both are held to the same sentences."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import errors
from monitor.core.model import (
    InstanceKey,
    Outcome,
    Snapshot,
    Step,
    address,
    container_id,
    host_id,
)
from monitor.job import lenient
from monitor.job.ask import Api
from tests.job import recorded

KEYS: dict[Api, InstanceKey] = {
    "gateway-v3": InstanceKey("prod", "biz", "2", 20000154),
    "gateway-v4": InstanceKey("prod", "biz", "2", 20000155),
}
SAMPLES: dict[Api, str] = {"gateway-v3": "v3_running", "gateway-v4": "v4_failed"}
ROWS: dict[Api, str] = {
    "gateway-v3": "step_ip_result_list",
    "gateway-v4": "step_execute_object_result_list",
}
BOTH = pytest.mark.parametrize("api", list(KEYS))


def at(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def read(api: Api, tree: object, *, hosts: bool = True) -> Snapshot:
    body = tree if isinstance(tree, bytes) else recorded.dump(tree)
    return recorded.decipher(body, KEYS[api], api=api, hosts=hosts)


def changed(api: Api, change: Callable[[Any], object]) -> Any:
    """Change the data of a sample."""
    tree = recorded.tree(SAMPLES[api])
    change(tree["data"])
    return tree


def with_rows(api: Api, rows: object) -> Any:
    step = {"step_instance_id": 1, "status": 2, ROWS[api]: rows}
    return changed(api, lambda data: data.update(step_instance_list=[step]))


def row(api: Api, status: object, ip: str | None = "10.0.0.1", **more: Any) -> Any:
    """Give a row of host 101 in cloud 0, as the API in question spells it."""
    if api == "gateway-v3":
        return {"bk_host_id": 101, "ip": ip, "bk_cloud_id": 0, "status": status} | more
    host = {"bk_host_id": 101, "ip": ip, "bk_cloud_id": 0}
    target = {"type": 1, "resource_id": "101", "host": host}
    return {"execute_object": target, "status": status} | more


def only_step(api: Api, *rows: object) -> Step:
    (step,) = read(api, with_rows(api, rows)).steps
    return step


HOST = host_id("10.0.0.1", 0, 101)


def test_a_running_v3_instance_is_read() -> None:
    assert read("gateway-v3", recorded.read("v3_running")) == Snapshot(
        status=2,
        name="deploy-nginx",
        created_at=at(1716170400000),
        started_at=at(1716170400321),
        steps=(
            Step(
                step_instance_id=20000312,
                status=3,
                execute_count=1,
                name="stop",
                type=1,
                started_at=at(1716170400400),
                ended_at=at(1716170431000),
                hosts={HOST: 9},
            ),
            Step(
                step_instance_id=20000313,
                status=2,
                name="push",
                type=2,
                started_at=at(1716170431100),
                hosts={HOST: 7, host_id("10.0.0.2", 0, 102): 18},
            ),
            Step(step_instance_id=20000314, status=1, name="confirm", type=3),
        ),
    )


def test_a_failed_v4_instance_is_read() -> None:
    nginx = container_id(5001, "docker://3f2a…", "nginx")

    assert read("gateway-v4", recorded.read("v4_failed")) == Snapshot(
        status=4,
        name="clean-log",
        created_at=at(1716170400000),
        started_at=at(1716170400321),
        ended_at=at(1716170409000),
        steps=(
            Step(
                step_instance_id=20000320,
                status=4,
                name="clean-log",
                type=1,
                started_at=at(1716170400400),
                ended_at=at(1716170408900),
                hosts={HOST: 9, nginx: 104},
                outcomes={nginx: Outcome(1, "disk_full")},
            ),
        ),
    )


@BOTH
def test_what_a_script_said_is_kept_of_failed_hosts_only(api: Api) -> None:
    failed = row(api, 104, exit_code=3, tag="disk")
    step = only_step(api, failed)
    calm = [row(api, status, exit_code=0, tag="old") for status in (3, 5, 7, 9)]
    silent = row(api, 310, exit_code=None, tag="")

    assert step.outcomes == {HOST: Outcome(3, "disk")}
    assert all(only_step(api, row).outcomes == {} for row in [*calm, silent])
    assert only_step(api, silent).hosts == {HOST: 310}


@BOTH
def test_a_host_that_appears_twice_takes_its_worst_row(api: Api) -> None:
    rows = [
        row(api, 9, exit_code=0, tag="fine"),
        row(api, 104, exit_code=7, tag="bad"),
        row(api, 104, exit_code=1, tag="worse"),
        row(api, 7),
    ]

    for order in (rows, rows[::-1]):
        step = only_step(api, *order)
        assert step.hosts == {HOST: 104}
        assert step.outcomes == {HOST: Outcome(7, "bad")}


@BOTH
@pytest.mark.parametrize("rows", [None, "absent", []])
def test_rows_that_were_not_asked_for_leave_the_step_partial(
    api: Api, rows: object
) -> None:
    tree = with_rows(api, rows)
    if rows == "absent":
        del tree["data"]["step_instance_list"][0][ROWS[api]]

    (unasked,) = read(api, tree, hosts=False).steps
    (asked,) = read(api, tree, hosts=True).steps

    assert (unasked.partial, unasked.hosts) == (True, {})
    assert (asked.partial, asked.hosts) == (False, {})


@BOTH
def test_rows_that_came_unasked_are_used(api: Api) -> None:
    (step,) = read(api, with_rows(api, [row(api, 9)]), hosts=False).steps

    assert (step.partial, step.hosts) == (False, {HOST: 9})


def test_a_host_without_number_is_known_by_cloud_and_ip() -> None:
    old = {"ip": "10.0.0.1", "bk_cloud_id": 3, "status": 9}
    six = {"bk_host_id": 9, "ip": None, "bk_cloud_id": 0, "status": 9}

    assert only_step("gateway-v3", old, six).hosts == {
        host_id("10.0.0.1", 3): 9,
        host_id(None, 0, 9): 9,
    }


@pytest.mark.parametrize(
    ("target", "ip", "number"),
    [
        ({"host": {"bk_host_id": 7, "ipv6": "fd00::7", "ip": None}}, "fd00::7", 7),
        ({"host": {"bk_host_id": 7, "ipv6": "fd00::7", "ip": "10.0.0.7"}}, None, 7),
        ({"host": {"ip": "10.0.0.7"}, "resource_id": "7"}, "10.0.0.7", 7),
        ({"host": {"ip": "10.0.0.7"}}, "10.0.0.7", None),
        ({"type": 1, "resource_id": "7"}, None, 7),
    ],
)
def test_a_v4_host_is_known_by_what_there_is(
    target: Any, ip: str | None, number: int | None
) -> None:
    step = only_step("gateway-v4", {"execute_object": target, "status": 9})

    (known,) = map(address, step.hosts)
    assert known.ip == (ip or target.get("host", {}).get("ip"))
    assert known.bk_host_id == number
    assert known.bk_cloud_id == 0


def test_a_container_with_hostile_texts_stays_one_plain_target() -> None:
    container = {
        "id": 5,
        "container_id": "a b\n\u202ec" * 99,
        "name": "\x1b[2J x\n" * 99,
    }
    target = {"type": 2, "resource_id": "5", "container": container}

    step = only_step("gateway-v4", {"execute_object": target, "status": 104})

    (host,) = step.hosts
    known = address(host)
    assert host.isprintable()
    assert len(host) < 512
    assert known.container_id
    assert known.container_id.startswith("abcabc")
    assert known.name
    assert known.name.startswith("[2J x [2J")


@BOTH
def test_numbers_as_strings_nulls_and_unknown_fields_are_read(api: Api) -> None:
    step = {"step_instance_id": "1", "status": "4", "execute_count": "2", "x": {}}
    rows = [row(api, "104", exit_code="3", tag=None, total_time={}, x=[1])]
    tree = recorded.tree(SAMPLES[api])
    tree["data"]["step_instance_list"] = [step | {ROWS[api]: rows}]
    tree["data"]["job_instance"]["status"] = "4"

    snapshot = read(api, tree)

    assert snapshot.status == 4
    assert snapshot.steps == (
        Step(
            step_instance_id=1,
            status=4,
            execute_count=2,
            hosts={HOST: 104},
            outcomes={HOST: Outcome(3)},
        ),
    )


@BOTH
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1716170400321, at(1716170400321)),
        ("1716170400321", at(1716170400321)),
        (None, None),
        (0, None),
        (-1, None),
        (2**62, None),
        (2**70, None),
        ("9" * 6_000, None),
        ("2024-05-20 10:00:00", None),
        (1.5, None),
        ([], None),
    ],
)
def test_a_time_is_utc_or_unknown(
    api: Api, value: object, moment: datetime | None
) -> None:
    tree = changed(api, lambda data: data["job_instance"].update(start_time=value))

    assert read(api, tree).started_at == moment


@BOTH
@pytest.mark.parametrize("value", [2**70, "9" * 6_000, {}, [], 1.5, "x", None])
def test_decoration_of_any_type_is_survived_and_can_be_stored(
    api: Api, value: object
) -> None:
    tree = with_rows(api, [row(api, 104, exit_code=value, tag=value)])
    tree["data"]["job_instance"]["name"] = value
    tree["data"]["step_instance_list"][0] |= {"type": value, "name": value}

    snapshot = read(api, tree)

    assert msgspec.msgpack.encode(snapshot)
    assert len(snapshot.name) <= lenient.NAME


@BOTH
def test_a_hostile_name_or_tag_is_bounded_and_made_printable(api: Api) -> None:
    text = "a\x1b[2J\n\u202eb\x00" + "c" * 10_000
    tree = with_rows(api, [row(api, 104, tag=text)])
    tree["data"]["job_instance"]["name"] = text

    snapshot = read(api, tree)

    tag = snapshot.steps[0].outcomes[HOST].tag
    for shown in (snapshot.name, tag):
        assert shown.startswith("a[2J bcc")
        assert len(shown) <= lenient.NAME


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["job_instance"].update(job_instance_id=7),
        lambda d: d["job_instance"].pop("job_instance_id"),
        lambda d: d["job_instance"].update(status=None),
        lambda d: d["job_instance"].update(status=2**70),
        lambda d: d.pop("job_instance"),
        lambda d: d.update(step_instance_list=[{}]),
        lambda d: d.update(step_instance_list={}),
    ],
)
def test_an_answer_that_is_not_about_this_instance_is_garbled(
    api: Api, change: Callable[[Any], object]
) -> None:
    with pytest.raises(errors.Garbled) as caught:
        read(api, changed(api, change))

    assert not caught.value.whole_source


@BOTH
@pytest.mark.parametrize("ip", ["10.0\n.0.1", "10.0.0.1#5", "1" * 500, "\u202e1"])
def test_an_ip_that_none_is_garbled(api: Api, ip: str) -> None:
    with pytest.raises(errors.Garbled):
        only_step(api, row(api, 9, ip=ip))


@BOTH
def test_a_truncated_answer_is_an_error_and_no_snapshot(api: Api) -> None:
    whole = json.dumps(recorded.tree(SAMPLES[api])).encode()
    for length in range(1, len(whole) - 1, 37):
        with pytest.raises(errors.Garbled):
            read(api, whole[:length])


@BOTH
@given(st.data())
def test_a_damaged_answer_is_a_snapshot_or_a_source_error(
    api: Api, data: st.DataObject
) -> None:
    body = bytearray(recorded.read(SAMPLES[api]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(start + 20, len(body))))
        body[start:end] = data.draw(st.binary(max_size=20))

    _snapshot_or_source_error(api, bytes(body))


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """List every container of *tree* with each of its keys."""
    keys = tree if isinstance(tree, dict) else range(len(tree))
    found: list[tuple[Any, Any]] = [(tree, key) for key in keys]
    inner = [tree[key] for key in keys if isinstance(tree[key], dict | list)]
    return found + [place for one in inner for place in _places(one)]


@BOTH
@given(st.data(), JSON)
def test_any_value_in_any_place_is_a_snapshot_or_a_source_error(
    api: Api, data: st.DataObject, value: object
) -> None:
    tree = recorded.tree(SAMPLES[api])
    container, key = data.draw(st.sampled_from(_places(tree)))
    container[key] = value

    _snapshot_or_source_error(api, msgspec.json.encode(tree))


def _snapshot_or_source_error(api: Api, body: bytes) -> None:
    try:
        snapshot = read(api, body)
    except errors.SourceError:
        return

    assert msgspec.msgpack.encode(snapshot)
    assert all(address(host) for step in snapshot.steps for host in step.hosts)
