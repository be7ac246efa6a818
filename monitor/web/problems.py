"""Every refusal worded the same way, as RFC 9457 has it, with what to do about it."""

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from monitor import errors
from monitor.web.shapes.problem import ProblemData

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, which would hide from us that a form is our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing is loaded from elsewhere, nothing inline is run, nobody frames us.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
}
_SERVER: Final = "job-monitor"
"""And not which versions of what."""

_KEPT: Final = ("Allow", "WWW-Authenticate", "Retry-After")


@web.middleware
async def worded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Word what is raised; of ours, only what the store cannot do may be."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        return _of(refused)
    except errors.StoreError as failed:
        return problem(503, "Service Unavailable", str(failed))


async def headed(_: web.Request, response: web.StreamResponse) -> None:
    """Add our headers before any is sent, which a stream does long before its end."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = _SERVER


def problem(
    status: int, title: str, detail: str | None = None, *, faults: Sequence[str] = ()
) -> web.Response:
    """Word a refusal; *faults* are lines, where there is more than one thing wrong."""
    said = ProblemData(title=title, status=status, detail=detail, faults=tuple(faults))
    return web.Response(
        body=msgspec.json.encode(said),
        status=status,
        content_type="application/problem+json",
    )


def _of(refused: web.HTTPException) -> web.Response:
    plain = refused.text == f"{refused.status}: {refused.reason}"
    answer = problem(refused.status, refused.reason, None if plain else refused.text)
    kept = {name: refused.headers[name] for name in _KEPT if name in refused.headers}
    answer.headers.update(kept)
    return answer
