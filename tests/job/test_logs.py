"""The ends of logs, as every generation gives them."""

import html
import json
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from monitor import errors
from monitor.core.model import HostId, InstanceKey, container_id, host_id
from monitor.job import dialect, logs, source, text
from monitor.job.ask import Api, Ask
from monitor.job.source import SourceConfig
from tests.job import recorded
from tests.job.servers import serving

KEY = InstanceKey("prod", "biz", "2", 20000155)
STEP = 20000320
ONE, TWO = host_id("10.0.0.1", 0, 101), host_id("10.0.0.2", 0, 102)
OLD = host_id("10.0.0.3", 3)
SIX = host_id("fd00::7", 0, 107)
NGINX = container_id(5001, "docker://3f2a", "nginx")

IDS = {"bk_scope_type": "biz", "bk_scope_id": "2", "job_instance_id": 20000155}
STEP_IDS = IDS | {"step_instance_id": STEP}


def asks(api: Api, *hosts: HostId) -> list[Ask[Any]]:
    return [*dialect.of(api, recorded.CHINA).tails(KEY, STEP, hosts)]


def read(api: Api, data: object, *hosts: HostId) -> dict[HostId, str]:
    (question,) = asks(api, *hosts)
    return dict(question.read(msgspec.Raw(recorded.dump(data))))


@pytest.mark.parametrize(
    ("api", "hosts", "asked"),
    [
        ("gateway-v3", (ONE, TWO), [{"host_id_list": [101, 102]}]),
        ("esb-v3", (OLD,), [{"ip_list": [{"bk_cloud_id": 3, "ip": "10.0.0.3"}]}]),
        (
            "esb-v3",
            (ONE, OLD),
            [
                {"host_id_list": [101]},
                {"ip_list": [{"bk_cloud_id": 3, "ip": "10.0.0.3"}]},
            ],
        ),
        ("gateway-v4", (ONE, SIX), [{"host_id_list": [101, 107]}]),
        ("gateway-v4", (NGINX,), [{"container_id_list": [5001]}]),
        ("gateway-v3", (), []),
        ("gateway-v4", (), []),
        ("gateway-v3", (host_id(None, 0),), []),
    ],
)
def test_logs_are_asked_for_by_the_best_names_of_the_hosts(
    api: Api, hosts: tuple[HostId, ...], asked: list[dict[str, Any]]
) -> None:
    questions = asks(api, *hosts)

    assert [question.fields for question in questions] == [STEP_IDS | a for a in asked]
    for question in questions:
        assert question.name == "logs"
        assert question.posted
        assert question.most == logs.MOST


def test_v2_gives_the_logs_of_the_whole_instance() -> None:
    (question,) = asks("esb-v2", OLD)

    assert question.api == "get_job_instance_log"
    assert question.fields == {"bk_biz_id": 2, "job_instance_id": 20000155}
    assert dialect.of("esb-v2", recorded.CHINA).means.tails == 0


def v2_log(ip: str, log: object, cloud: int = 0) -> dict[str, Any]:
    return {"ip": ip, "bk_cloud_id": cloud, "exit_code": 1, "log_content": log}


def test_the_logs_of_a_v2_step_are_read_and_unescaped() -> None:
    plain_one, plain_two = host_id("10.0.0.1", 0), host_id("10.0.0.2", 0)
    results = [
        {
            "ip_status": 104,
            "tag": "",
            "ip_logs": [v2_log("10.0.0.1", "a &lt;b&gt; &amp;lt;")],
        },
        {
            "ip_status": 9,
            "tag": "",
            "ip_logs": [v2_log("10.0.0.1", "an earlier batch")],
        },
        {
            "ip_status": "11",
            "ip_logs": [v2_log("10.0.0.2", None), v2_log("10.0.0.9", "x")],
        },
        {"ip_status": None, "ip_logs": None},
    ]
    data = [
        {
            "step_instance_id": 1,
            "step_results": [{"ip_logs": [v2_log("10.0.0.1", "other")]}],
        },
        {"step_instance_id": STEP, "step_results": results},
        {"step_instance_id": 2, "step_results": None},
    ]

    assert read("esb-v2", data, plain_one, plain_two) == {plain_one: "a <b> &lt;"}


def v3_log(number: int | None, ip: str | None, log: object) -> dict[str, Any]:
    return {"bk_host_id": number, "bk_cloud_id": 0, "ip": ip, "log_content": log}


def v3(*rows: object, **more: object) -> dict[str, Any]:
    ids = {"job_instance_id": KEY.job_instance_id, "step_instance_id": STEP}
    return {**ids, "log_type": 1, "script_task_logs": rows, **more}


def test_the_logs_of_a_v3_step_are_read() -> None:
    data = v3(
        v3_log(101, "10.0.0.1", "one\n&lt;"),
        # Before 3.12 the number is missing.
        v3_log(None, "10.0.0.2", "two\n"),
        v3_log(109, "10.0.0.9", "nobody asked"),
    )

    assert read("gateway-v3", data, ONE, TWO) == {ONE: "one\n&lt;", TWO: "two"}


@pytest.mark.parametrize("log", [None, "", " \n\x1b[0m", 7, {}, []])
def test_a_host_without_a_log_is_left_out(log: object) -> None:
    assert read("gateway-v3", v3(v3_log(101, "10.0.0.1", log)), ONE) == {}


def test_the_log_of_another_host_that_has_the_ip_now_is_not_taken() -> None:
    data = v3(v3_log(999, "10.0.0.1", "not ours"), v3_log(None, None, "nobody's"))

    assert read("gateway-v3", data, ONE, host_id(None, 0, 5)) == {}


def file(status: object, log: object) -> dict[str, Any]:
    return {"mode": 1, "status": status, "log_content": log, "process": "100%"}


@pytest.mark.parametrize(
    ("files", "end"),
    [
        (
            [file(4, "done"), file(5, "failed 1"), file("5", "failed 2")],
            "failed 1\nfailed 2",
        ),
        ([file(4, "done"), file(3, "stuck")], "done\nstuck"),
        ([file(5, None), file(None, "odd")], "odd"),
        (
            [file(5, f"f{n}") for n in range(99)],
            "\n".join(f"f{n}" for n in range(83, 99)),
        ),
    ],
)
def test_of_files_those_that_failed_last_are_told(files: Any, end: str) -> None:
    row = {"bk_host_id": 101, "bk_cloud_id": 0, "ip": "10.0.0.1", "file_logs": files}
    target = {"type": 1, "resource_id": "101", "host": {"bk_host_id": 101}}
    up_and_down = {"upload_log": files[:1], "download_log": files[1:]}
    fourth = {"execute_object": target, **up_and_down}

    assert read("gateway-v3", v3(file_task_logs=[row]), ONE) == {ONE: end}
    assert read("gateway-v4", {"file_step_execute_object_logs": [fourth]}, ONE) == {
        ONE: end
    }


def v4_log(target: dict[str, Any], log: object) -> dict[str, Any]:
    return {"execute_object": target, "log_content": log}


def test_the_logs_of_a_v4_step_are_read() -> None:
    host = {"bk_host_id": 101, "bk_cloud_id": 0, "ip": "10.0.0.1"}
    six = {"bk_host_id": 107, "ipv6": "fd00::7"}
    rows = [
        v4_log({"type": 1, "resource_id": "101", "host": host}, "one"),
        v4_log({"type": 1, "resource_id": "107", "host": six}, "six"),
        v4_log({"type": 1, "resource_id": "102"}, "two"),
        v4_log({"type": 9}, "what is that?"),
    ]
    container = {"id": 5001, "container_id": "docker://3f2a", "name": "renamed"}
    there = v4_log({"type": 2, "resource_id": "5001", "container": container}, "there")
    data = {"script_step_execute_object_logs": [*rows, there]}

    assert read("gateway-v4", data, ONE, SIX, TWO) == {
        ONE: "one",
        SIX: "six",
        TWO: "two",
    }
    assert read("gateway-v4", data, NGINX) == {NGINX: "there"}


@pytest.mark.parametrize("api", ["gateway-v3", "gateway-v4"])
@pytest.mark.parametrize("other", [{"step_instance_id": 1}, {"job_instance_id": 1}])
def test_logs_of_another_step_are_garbled(api: Api, other: Any) -> None:
    with pytest.raises(errors.Garbled):
        read(api, other, ONE)


@pytest.mark.parametrize(
    ("log", "end"),
    [
        ("", ""),
        ("one\r\ntwo\rthree\n\n", "one\ntwo\nthree"),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b", "red x"),
        ("a\tb\x00\u202ec\u2028d", "a bc d"),
        ("部署失败\n", "部署失败"),
        ("\ud800x", "x"),
        ("old\n" * 4000 + "last", "old\n" * 1023 + "last"),
        ("one\n" + "\r\n" * 9000, "one"),
        ("x" * 5000, "x" * 4096),
        ("x" * 5000 + "\nlast", "x" * 4091 + "\nlast"),
        ("y" * 9000 + "\n" + "x" * 4000, "x" * 4000),
        ("é" * 5000, "é" * 2048),
        ("x" + "é" * 5000 + "y", "é" * 2047 + "y"),
    ],
)
def test_the_end_of_a_log_is_plain_whole_and_bounded(log: str, end: str) -> None:
    assert text.end(log, logs.END) == end


@given(st.text(max_size=200), st.integers(8, 100))
def test_the_end_of_any_log_is_printable_and_bounded(log: str, limit: int) -> None:
    end = text.end(log, limit)

    assert len(end.encode()) <= limit
    assert end.replace("\n", "").isprintable()


@given(st.text("&<>\"'x;amp \n", max_size=9_000))
def test_what_was_escaped_for_html_comes_back(log: str) -> None:
    plain = host_id("10.0.0.1", 0)
    results = [{"ip_logs": [v2_log("10.0.0.1", html.escape(log))]}]
    data = [{"step_instance_id": STEP, "step_results": results}]

    assert read("esb-v2", data, plain).get(plain, "") == text.end(log, logs.END)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("api", ["esb-v2", "esb-v3", "gateway-v4"])
@given(st.binary(max_size=300) | JSON.map(recorded.dump))
def test_no_bytes_raise_anything_but_a_source_error(api: Api, data: bytes) -> None:
    (question,) = asks(api, ONE)
    try:
        assert question.read(msgspec.Raw(data)) == {}
    except errors.SourceError:
        return


async def fetch(
    api: Api, body: bytes, *hosts: HostId, **options: Any
) -> tuple[dict[HostId, str], list[Any]]:
    said = []

    async def answer(request: web.Request) -> web.Response:
        said.append((request.method, request.path, json.loads(await request.read())))
        return web.Response(body=body)

    async with serving(answer, path="/{path:.*}") as url:
        config = SourceConfig(
            name="prod",
            url=url,
            api=api,
            timezone=recorded.CHINA,
            credentials=lambda: {"bk_username": "admin"},
            **options,
        )
        async with source.opened(config) as job:
            return dict(await job.tails(KEY, STEP, hosts)), said


async def test_logs_are_posted_for_through_gateways_too() -> None:
    row = v3_log(101, "10.0.0.1", "one")
    body = recorded.dump({"code": 0, "result": True, "data": v3(row)})

    found, said = await fetch("gateway-v3", body, ONE)

    assert found == {ONE: "one"}
    path = "/api/v3/batch_get_job_instance_ip_log"
    assert said == [("POST", path, STEP_IDS | {"host_id_list": [101]})]


async def test_hosts_that_go_by_different_names_are_asked_for_apart() -> None:
    body = b'{"code":0,"data":{}}'

    found, said = await fetch("esb-v3", body, ONE, OLD)

    assert found == {}
    assert ["host_id_list" in asked for _, _, asked in said] == [True, False]


def in_v4(*sizes: int) -> bytes:
    rows = [
        v4_log(
            {"resource_id": str(101 + n), "host": {"bk_host_id": 101 + n}},
            'log "}]\n' + "x" * size + f"\nend {n}",
        )
        for n, size in enumerate(sizes)
    ]
    data = {"script_step_execute_object_logs": rows}
    return recorded.dump({"data": data, "job_request_id": "1"})


async def test_of_logs_that_are_too_long_together_the_first_are_used() -> None:
    body = in_v4(5, 1 << 20, logs.MOST)

    found, _ = await fetch("gateway-v4", body, ONE, TWO, host_id(None, 0, 103))

    assert [end[-5:] for end in found.values()] == ["end 0", "end 1"]


@pytest.mark.parametrize("size", [logs.MOST, 3 * logs.MOST])
async def test_a_first_log_that_is_too_long_is_said_to_be(size: int) -> None:
    with pytest.raises(errors.Garbled, match="longer than 4194304 bytes") as caught:
        await fetch("gateway-v4", in_v4(size, 5), ONE, TWO)

    assert not caught.value.whole_source


async def test_a_log_that_fits_exactly_is_read_whole() -> None:
    body = in_v4(0)
    whole = in_v4(logs.MOST - len(body))

    found, _ = await fetch("gateway-v4", whole, ONE)

    assert len(whole) == logs.MOST
    assert found[ONE].endswith("end 0")
