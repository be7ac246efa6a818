"""Spans of visits and of deliveries, where OpenTelemetry's own variables ask for them.

The only module that knows opentelemetry, and only once it is asked: otherwise what is
given comes back as it was. A span names an instance, a sink or a message and the type
of an error; never a text, which might hold a secret.
"""

import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from importlib import metadata
from threading import Thread
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.to_thread
import structlog

from monitor import errors
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.ports import Sink

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

Visit = Callable[[InstanceKey], Awaitable[float | None]]
Facts = Mapping[str, str]
Span = Callable[[str, Facts], AbstractContextManager[None]]

ASKED: Final = (
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
AT_THE_END: Final = 3.0
"""Seconds in which spans that are left may be sent."""

log = structlog.get_logger()


class Tracing:
    """Makes no spans."""

    def visits(self, visit: Visit) -> Visit:
        return visit

    def deliveries(self, sink: Sink) -> Sink:
        return sink


OFF: Final = Tracing()


class Spans(Tracing):
    """Makes a span of each."""

    def __init__(self, tracer: "trace.Tracer") -> None:
        self._tracer = tracer

    def visits(self, visit: Visit) -> Visit:
        async def traced(key: InstanceKey) -> float | None:
            facts = {
                "job_monitor.source": key.source,
                "job_monitor.instance": str(key),
            }
            with self._span("visit", facts):
                return await visit(key)

        return traced

    def deliveries(self, sink: Sink) -> Sink:
        return _Traced(sink, self._span)

    @contextmanager
    def _span(self, name: str, facts: Facts) -> Iterator[None]:
        started = self._tracer.start_as_current_span(
            name,
            attributes=facts,
            record_exception=False,
            set_status_on_exception=False,
        )
        with started as span, ExitStack() as block:
            block.push(partial(_mark, span))
            yield


def _mark(
    span: "trace.Span", _: object, error: BaseException | None, __: object
) -> None:
    """Name the type of the error that ends a block; to be cancelled is none."""
    if isinstance(error, Exception):
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)


class _Traced:
    """A sink whose deliveries are spans."""

    def __init__(self, sink: Sink, span: Span) -> None:
        self._sink = sink
        self._span = span

    @property
    def name(self) -> str:
        return self._sink.name

    async def deliver(self, message: Message) -> None:
        facts = {
            "job_monitor.sink": self.name,
            "job_monitor.message": message.id,
            "job_monitor.type": message.type,
        }
        with self._span("deliver", facts):
            await self._sink.deliver(message)


def asked_for(environ: Mapping[str, str]) -> str:
    """Name the variable by which spans are asked for; empty: they are not."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    return next((name for name in ASKED if environ.get(name)), "")


@asynccontextmanager
async def opened(environ: Mapping[str, str]) -> AsyncIterator[Tracing]:
    """Send spans for as long as the block lasts, where *environ* asks for them.

    Raises ``errors.Misconfigured`` where it does and what sends them is missing.
    """
    asked = asked_for(environ)
    if not asked:
        yield OFF
        return
    provider = _provider(asked, environ)
    try:
        yield Spans(provider.get_tracer("job-monitor"))
    finally:
        # It may wait for half a minute for a collector that is gone.
        last = Thread(target=provider.shutdown, name="spans", daemon=True)
        last.start()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(last.join, AT_THE_END)


def _provider(asked: str, environ: Mapping[str, str]) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise errors.Misconfigured(
            f"{asked}: spans need pip install 'job-monitor[otlp]'; or unset it"
        ) from error

    about = {"service.version": metadata.version("job-monitor")}
    if not environ.get("OTEL_SERVICE_NAME"):
        about["service.name"] = "job-monitor"
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    exporter = cast("SpanExporter", _Said(OTLPSpanExporter()))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # It has two lines for every batch that is lost; ours say when that begins and ends.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    return provider


class _Said:
    """An exporter that says once that spans are lost, and once that they are not."""

    def __init__(self, exporter: "SpanExporter") -> None:
        self._exporter = exporter
        self._well = True
        self.shutdown = exporter.shutdown
        self.force_flush = exporter.force_flush

    def export(self, spans: Sequence["ReadableSpan"]) -> "SpanExportResult":
        result = self._exporter.export(spans)
        well = result.name == "SUCCESS"
        if well and not self._well:
            log.info("spans.recovered")
        elif self._well and not well:
            log.warning("spans.failing", reason="the collector does not take them")
        self._well = well
        return result
