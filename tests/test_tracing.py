"""Spans are made where they are asked for, and nothing is done where they are not."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitor import errors, tracing
from monitor.core.model import InstanceKey
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.receiver import listening
from tests.e2e.site import Site
from tests.sinks.messages import an_event
from tests.support import worlds
from tests.support.answers import KEY
from tests.support.sink import RecordingSink, down

sdk = pytest.importorskip(
    "opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed"
)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SECRET = "not to be shown"


async def visit(_: InstanceKey) -> float | None:
    return 60.0


async def crash(_: InstanceKey) -> float | None:
    raise ZeroDivisionError(SECRET)


class Exported:
    """Spans, and what ended in this process."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415
            SimpleSpanProcessor,
            in_memory_span_exporter,
        )

        self._memory = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.spans = tracing.Spans(provider.get_tracer("test"))

    @property
    def ended(self) -> Sequence[Any]:
        return self._memory.get_finished_spans()


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, ""),
        ({ENDPOINT: ""}, ""),
        ({ENDPOINT: "http://x"}, ENDPOINT),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, tracing.ASKED[0]),
    ],
)
def test_the_variables_of_opentelemetry_ask_for_them(
    environ: dict[str, str], asked: str
) -> None:
    assert tracing.asked_for(environ) == asked


async def test_where_nobody_asks_all_stays_as_it_is() -> None:
    sink = RecordingSink("oncall")

    async with tracing.opened({}) as spans:
        same = spans.visits(visit), spans.deliveries(sink)

    assert same == (visit, sink)


async def test_a_visit_is_a_span_that_names_its_instance() -> None:
    exported = Exported()

    delay = await exported.spans.visits(visit)(KEY)

    [span] = exported.ended
    assert delay == 60.0
    assert span.name == "visit"
    assert span.attributes == {
        "job_monitor.source": KEY.source,
        "job_monitor.instance": str(KEY),
    }


async def test_a_visit_that_crashes_is_an_error_without_a_text() -> None:
    exported = Exported()

    with pytest.raises(ZeroDivisionError):
        await exported.spans.visits(crash)(KEY)

    [span] = exported.ended
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "ZeroDivisionError"
    assert SECRET not in span.to_json()


async def test_a_delivery_is_a_span_whether_it_is_taken_or_not() -> None:
    exported, sink = Exported(), RecordingSink("oncall", refuse=down)
    traced = exported.spans.deliveries(sink)

    with pytest.raises(errors.Undelivered):
        await traced.deliver(an_event())

    [span] = exported.ended
    assert traced.name == "oncall"
    assert span.name == "deliver"
    assert span.attributes["job_monitor.sink"] == "oncall"
    assert span.attributes["error.type"] == "Undelivered"


async def test_a_daemon_sends_spans_to_a_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []

    async def collect(request: web.BaseRequest) -> web.StreamResponse:
        taken.extend(spans_in(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    world = worlds.today()
    job = world.play("one_ip_fails", parts=Parts(beat=0.001))
    async with serving(world) as url, listening(collect) as collector:
        monkeypatch.setenv(ENDPOINT, collector)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        site = Site(tmp_path, url)
        site.watch(job)
        with running(site.config) as daemon:
            await daemon.reaches(
                lambda: {"visit", "deliver"} <= {span.name for span in taken},
                "both kinds are collected",
            )
            assert await daemon.stop() == 0

    [visited, *_] = [span for span in taken if span.name == "visit"]
    facts = {each.key: each.value.string_value for each in visited.attributes}
    assert facts["job_monitor.source"] == "prod"
    assert facts["job_monitor.instance"].endswith(f"/{job.job_instance_id}")


async def test_a_collector_that_is_gone_holds_up_nothing_but_the_end_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    world = worlds.today()
    job = world.play("one_ip_fails", parts=Parts(beat=0.001))
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(job)
        with running(site.config) as daemon:
            await daemon.says("spans.failing")
            ended = await daemon.stop()

    assert ended == 0
    assert [line["event"] for line in daemon.loud() if "span" in str(line)] == [
        "spans.failing"
    ]


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    site = Site(tmp_path, "http://127.0.0.1:9")
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; "
        "from monitor.cli.main import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--config", str(site.config)],
        env={**os.environ, ENDPOINT: "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 78
    assert "pip install 'job-monitor[otlp]'" in done.stderr


def spans_in(body: bytes) -> list[Any]:
    from opentelemetry.proto.collector.trace.v1 import (  # noqa: PLC0415
        trace_service_pb2,
    )

    said = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    scopes = [scope for each in said.resource_spans for scope in each.scope_spans]
    return [span for scope in scopes for span in scope.spans]
