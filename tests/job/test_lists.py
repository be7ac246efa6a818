"""Pages of the list of v3 and v4, and the hosts of a step by status of v3."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import errors
from monitor.core.listing import Filter, Page, Query, Row
from monitor.core.model import Failure, InstanceKey, Outcome, Step, host_id
from monitor.job import ask, dialect
from monitor.job.ask import Api
from tests.job import recorded

SINCE = datetime(2024, 5, 20, 2, 0, 0, 500, tzinfo=UTC)
UNTIL = datetime(2024, 5, 20, 3, 0, 0, 500, tzinfo=UTC)
QUERY = Query(scope_type="biz", scope_id="2", since=SINCE, until=UNTIL)

LISTS: dict[Api, str] = {
    "esb-v3": "data",
    "gateway-v3": "data",
    "gateway-v4": "job_instance_list",
}
ALL = pytest.mark.parametrize("api", list(LISTS))


def row(number: int = 20000154, **more: Any) -> dict[str, Any]:
    scope = {"bk_biz_id": 2, "bk_scope_type": "biz", "bk_scope_id": "2"}
    times = {"create_time": 1716170400000, "start_time": 1716170400321}
    return {"job_instance_id": number, "status": 2, **scope, **times, **more}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in row().items() if name != key}


def read(api: Api, *rows: object, query: Query = QUERY) -> Page:
    data = msgspec.json.encode({LISTS[api]: rows, "total": 9_999})
    return dialect.of(api, recorded.CHINA).page(query, "prod").read(msgspec.Raw(data))


def fields(api: Api, query: Query) -> dict[str, Any]:
    question = dialect.of(api, recorded.CHINA).page(query, "prod")
    assert (question.name, question.api) == ("list", "get_job_instance_list")
    assert not question.posted
    return dict(question.fields)


@pytest.mark.parametrize(
    ("api", "place", "most"),
    [
        ("esb-v3", "start", 1000),
        ("gateway-v3", "start", 1000),
        ("gateway-v4", "offset", 200),
    ],
)
def test_a_page_is_asked_for_in_the_words_of_its_api(
    api: Api, place: str, most: int
) -> None:
    wanted = Filter(name="deploy & go", operator="admin", launch_mode=1, type=0)
    query = msgspec.structs.replace(QUERY, start=400, filter=wanted)

    asked = fields(api, query)

    assert asked == {
        "bk_scope_type": "biz",
        "bk_scope_id": "2",
        "create_time_start": 1716170400000,
        "create_time_end": 1716174000001,
        place: 400,
        "length": most,
        "name": "deploy & go",
        "operator": "admin",
        "launch_mode": 1,
        "type": 0,
    }
    assert dialect.of(api, recorded.CHINA).means.page == most


def test_a_query_is_encoded_for_a_url() -> None:
    wanted = Filter(name="部署 & go?#", status=4)
    query = msgspec.structs.replace(QUERY, filter=wanted)
    question = dialect.of("gateway-v4", recorded.CHINA).page(query, "prod")

    assert ask.query(question) == (
        "bk_scope_type=biz&bk_scope_id=2&create_time_start=1716170400000"
        "&create_time_end=1716174000001&offset=0&length=200"
        "&name=%E9%83%A8%E7%BD%B2%20%26%20go%3F%23&status=4"
    )


@ALL
def test_one_moment_is_asked_for_as_one_millisecond(api: Api) -> None:
    exact = SINCE.replace(microsecond=0)

    asked = fields(api, msgspec.structs.replace(QUERY, since=exact, until=exact))

    assert asked["create_time_end"] == asked["create_time_start"] + 1


@ALL
def test_a_row_is_read(api: Api) -> None:
    more: Any = {"name": "deploy\nnginx", "operator": "admin", "launch_mode": "1"}
    plan = {"type": 0, "job_plan_id": 1001, "job_template_id": 501}

    page = read(api, row(end_time=None, total_time=12345, x={}, **more, **plan))

    created = datetime(2024, 5, 20, 2, 0, tzinfo=UTC)
    assert page == Page(
        (
            Row(
                key=InstanceKey("prod", "biz", "2", 20000154),
                status=2,
                created_at=created,
                name="deploy nginx",
                operator="admin",
                launch_mode=1,
                type=0,
                plan_id=1001,
                template_id=501,
                started_at=created + timedelta(milliseconds=321),
            ),
        ),
        full=False,
    )


@ALL
def test_a_row_is_read_as_the_document_spells_it(api: Api) -> None:
    told = {"id": "7", "task_status": "4", "task_type": 1, "job_plan_id": -1}
    scope = {"bk_scope_type": "biz", "bk_scope_id": "2"}

    (found,) = read(api, told | scope | {"create_time": "1716170400000"}).rows

    assert (found.key.job_instance_id, found.status, found.type) == (7, 4, 1)
    assert (found.plan_id, found.template_id) == (None, None)


@ALL
@pytest.mark.parametrize(
    "odd",
    [
        row(bk_scope_id="3"),
        row(bk_scope_type="biz_set"),
        {**row(bk_scope_id=None, bk_scope_type=None), "bk_biz_id": 3},
        *map(without, ("job_instance_id", "status", "create_time")),
        row(0),
        row(status="running"),
        row(2**70),
        row(create_time="yesterday"),
        row(create_time=-5),
        None,
        {},
    ],
)
def test_a_row_of_another_scope_or_without_the_necessary_is_passed_over(
    api: Api, odd: object
) -> None:
    page = read(api, odd, row(8))

    assert [found.key.job_instance_id for found in page.rows] == [8]


@ALL
def test_a_row_that_names_no_scope_is_of_the_scope_asked_for(api: Api) -> None:
    bare = {"job_instance_id": 8, "status": 3, "create_time": 1716170400000}
    query = msgspec.structs.replace(QUERY, scope_type="biz_set", scope_id="9")

    (found,) = read(api, bare, query=query).rows

    assert str(found.key) == "prod/biz_set/9/8"


@ALL
def test_a_page_is_full_with_as_many_rows_as_were_asked_for(api: Api) -> None:
    most = dialect.of(api, recorded.CHINA).means.page
    odd = row(bk_scope_id="3")

    assert read(api, *[row(n + 1) for n in range(most)]).full
    assert read(api, *[odd] * most) == Page((), full=True)
    assert not read(api, *[odd] * (most - 1)).full


@ALL
@pytest.mark.parametrize("data", [b"{}", b'{"data":null,"job_instance_list":null}'])
def test_no_rows_are_an_empty_page(api: Api, data: bytes) -> None:
    question = dialect.of(api, recorded.CHINA).page(QUERY, "prod")

    assert question.read(msgspec.Raw(data)) == Page((), full=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=4,
)


@ALL
@given(st.sampled_from(sorted(row(name="", task_type=1, job_plan_id=1))), JSON)
def test_any_value_in_a_row_costs_that_row_at_most(
    api: Api, key: str, value: object
) -> None:
    page = read(
        api, row(7, **{key: value}) if key != "job_instance_id" else {key: value}
    )

    assert msgspec.msgpack.encode(page)
    assert all(found.name.isprintable() for found in page.rows)


@ALL
@given(st.binary(max_size=300) | JSON.map(recorded.dump))
def test_no_bytes_raise_anything_but_a_source_error(api: Api, data: bytes) -> None:
    question = dialect.of(api, recorded.CHINA).page(QUERY, "prod")
    try:
        page = question.read(msgspec.Raw(data))
    except errors.SourceError:
        return

    assert page.rows == ()


def test_v2_has_no_list() -> None:
    with pytest.raises(errors.Garbled, match="no list"):
        dialect.of("esb-v2", recorded.CHINA).page(QUERY, "prod")


KEY = InstanceKey("prod", "biz", "2", 20000154)
STEP = Step(
    step_instance_id=20000312,
    status=2,
    execute_count=1,
    name="restart",
    type=1,
    hosts={host_id("10.0.0.9", 0, 109): 7},
    failures={host_id("10.0.0.9", 0, 109): Failure(104, 0)},
    stale=frozenset({host_id("10.0.0.9", 0, 109)}),
)


def group(status: int, tag: str, *hosts: int) -> dict[str, Any]:
    rows = [
        {"bk_host_id": 100 + n, "ip": f"10.0.0.{n}", "ipv6": "fd00::1"}
        | {"bk_cloud_id": 0, "status": status, "tag": tag, "exit_code": status % 3}
        for n in hosts
    ]
    told = {"result_type": status, "tag": tag, "host_size": 4_000}
    return {**told, "host_result_list": rows}


def grouped(api: Api, **data: Any) -> Step:
    question = dialect.of(api, recorded.CHINA).groups(KEY, STEP, 5)
    return question.read(msgspec.Raw(recorded.dump(data)))


V3 = pytest.mark.parametrize("api", ["esb-v3", "gateway-v3"])


@V3
def test_hosts_are_asked_for_by_group_in_the_attempt_of_the_step(api: Api) -> None:
    question = dialect.of(api, recorded.CHINA).groups(KEY, STEP, 5)

    assert (question.name, question.api) == ("groups", "get_step_instance_status")
    assert question.fields == {
        "bk_scope_type": "biz",
        "bk_scope_id": "2",
        "job_instance_id": 20000154,
        "step_instance_id": 20000312,
        "execute_count": 1,
        "batch": 0,
        "max_host_num_per_group": 5,
    }


@V3
def test_groups_give_the_same_step_with_some_of_its_hosts(api: Api) -> None:
    groups = [group(104, "disk", 1, 2), group(9, "", 3), group(310, "")]

    step = grouped(api, step_instance_id=20000312, step_result_group_list=groups)

    one, two = host_id("10.0.0.1", 0, 101), host_id("10.0.0.2", 0, 102)
    assert step == Step(
        step_instance_id=20000312,
        status=2,
        execute_count=1,
        name="restart",
        type=1,
        hosts={one: 104, two: 104, host_id("10.0.0.3", 0, 103): 9},
        outcomes={one: Outcome(2, "disk"), two: Outcome(2, "disk")},
        partial=True,
    )


@V3
def test_a_host_has_one_name_whoever_was_asked(api: Api) -> None:
    six = {"bk_host_id": 9, "ip": None, "bk_cloud_id": 0, "status": 9}
    groups = [{"host_result_list": [six | {"ipv6": "fd00::9"}]}]
    step = {"step_instance_id": 1, "status": 2, "step_ip_result_list": [six]}
    job = {"job_instance_id": 20000154, "status": 2}
    body = recorded.dump(
        {"code": 0, "data": {"job_instance": job, "step_instance_list": [step]}}
    )

    (looked,) = recorded.decipher(body, KEY, api=api).steps

    assert grouped(api, step_result_group_list=groups).hosts == looked.hosts


@V3
@pytest.mark.parametrize("groups", [None, [], [{}], [{"host_result_list": None}]])
def test_groups_without_hosts_are_no_hosts(api: Api, groups: object) -> None:
    step = grouped(api, step_result_group_list=groups)

    assert (step.hosts, step.partial) == ({}, True)


@V3
@pytest.mark.parametrize(
    "data",
    [
        {"step_instance_id": 7},
        {"job_instance_id": 7},
        {"step_result_group_list": {}},
        {"step_result_group_list": [{"host_result_list": [{}]}]},
    ],
)
def test_groups_of_another_step_are_garbled(api: Api, data: dict[str, Any]) -> None:
    with pytest.raises(errors.Garbled):
        grouped(api, **data)


@V3
@given(st.binary(max_size=300) | JSON.map(recorded.dump))
def test_no_groups_raise_anything_but_a_source_error(api: Api, data: bytes) -> None:
    question = dialect.of(api, recorded.CHINA).groups(KEY, STEP, 5)
    try:
        step = question.read(msgspec.Raw(data))
    except errors.SourceError:
        return

    assert step.hosts == {}


@pytest.mark.parametrize("api", ["esb-v2", "gateway-v4"])
def test_only_v3_groups_hosts(api: Api) -> None:
    with pytest.raises(errors.Garbled, match="does not group"):
        dialect.of(api, recorded.CHINA).groups(KEY, STEP, 5)

    assert not dialect.of(api, recorded.CHINA).means.groups
