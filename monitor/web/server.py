"""The server: binds, and lets in.

Connections that dawdle, bodies that do not end and names that nobody configured
are refused here. There is no access log, since the address of a callback holds a
token. What people and Prometheus read is never cached.
"""

import errno
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from monitor import errors
from monitor.metering import Meter
from monitor.ports import Now
from monitor.web import callback, gate, health, metrics, problems
from monitor.web.access import Access, Scope
from monitor.web.api import reload
from monitor.web.api.operation import Operation
from monitor.web.config import WebConfig
from monitor.web.health import Checks
from monitor.web.hints import Callbacks
from monitor.web.pages import site

RELOAD: Final = "/-/reload"
"""The same as the operation, under the name that Prometheus has for it."""

IDLE: Final = 30.0
"""Seconds for the headers of a request, and between two requests."""

_AT_THE_END: Final = 1.0
"""Seconds that requests under way have when the server closes."""

_LINGER: Final = 2.0
_WHY: Final = {
    errno.EADDRINUSE: "is taken; stop what listens there, or choose another port",
    errno.EADDRNOTAVAIL: "is no address of this machine; choose one of its own",
    errno.EACCES: "needs privileges; choose a port from 1024 upwards",
}


@asynccontextmanager
async def serving(
    config: WebConfig,
    *,
    callbacks: Callbacks,
    meters: Sequence[Meter],
    checks: Checks,
    operations: Sequence[Operation] = (),
    pages: site.House | None = None,
    now: Now,
    idle: float = IDLE,
) -> AsyncIterator[str]:
    """Serve for as long as the block lasts; yield the base URL.

    Raises ``errors.Misconfigured`` where it cannot listen.
    """
    access = Access(config, now)
    app = _application(config, access, callbacks, meters, checks)
    app.add_routes(_guarded(access, operations))
    if pages is not None:
        app.add_routes(site.routes(pages, access))
    runner = runner_of(app, idle)
    await runner.setup()
    try:
        yield await _bound(runner, config)
    finally:
        await runner.cleanup()


def runner_of(app: web.Application, idle: float = IDLE) -> web.AppRunner:
    """Run *app* with the patience that all who ask here are given."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_logger(),
        # A client that gives up must free the request that hangs for it.
        handler_cancellation=True,
        shutdown_timeout=_AT_THE_END,
        keepalive_timeout=idle,
        lingering_time=_LINGER,
        # Nobody who should come here compresses, and bombs do.
        auto_decompress=False,
    )


async def _bound(runner: web.AppRunner, config: WebConfig) -> str:
    try:
        await web.TCPSite(runner, config.host, config.port).start()
    except OSError as exc:
        why = _WHY.get(exc.errno or 0, f"cannot be listened on: {exc.strerror}")
        raise errors.Misconfigured(
            f"web.listen: {_at(config, config.port)} {why}"
        ) from exc
    return f"http://{_at(config, runner.addresses[0][1])}"


def _at(config: WebConfig, port: int) -> str:
    return f"[{config.host}]:{port}" if ":" in config.host else f"{config.host}:{port}"


def _application(
    config: WebConfig,
    access: Access,
    callbacks: Callbacks,
    meters: Sequence[Meter],
    checks: Checks,
) -> web.Application:
    app = web.Application(
        client_max_size=callback.BODY_MAX,
        middlewares=[
            problems.worded,
            gate.against_rebinding(gate.names(config), exempt=callback.PATH),
        ],
    )
    app.on_response_prepare.append(problems.headed)
    app.add_routes(
        [
            callback.route(callbacks, config.callback_token() or config.token()),
            _metrics(metrics.Page(meters), access),
            *health.routes(checks),
        ]
    )
    return app


def _metrics(page: metrics.Page, access: Access) -> web.RouteDef:
    async def show(request: web.Request) -> web.Response:
        text, content_type = page.written(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    return web.get("/metrics", access.admits(Scope.READ, show))


def _guarded(access: Access, operations: Iterable[Operation]) -> Iterator[web.RouteDef]:
    for each in operations:
        wanted = Scope.ADMIN if each.changes else Scope.READ
        handler = access.admits(wanted, each.handler)
        yield web.route(each.method, each.path, handler)
        if (each.method, each.path) == ("POST", reload.PATH):
            yield web.post(RELOAD, handler)


def _logger() -> logging.Logger:
    """Give a log of our own mistakes only: anybody can send rubbish."""
    logger = logging.getLogger("monitor.web")
    logger.addFilter(_ours)
    return logger


def _ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
