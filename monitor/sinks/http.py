"""One guarded request, for every sink that speaks HTTP.

Only addresses that are open to the sink are reached, TLS is verified, nothing is
redirected, every size and time is bounded. An address is never shown beyond its
origin, and no error is chained to one of aiohttp's: those print whole addresses.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import aiohttp
import anyio
from msgspec import Struct
from pydantic import SecretStr
from yarl import URL

from monitor import durations, errors
from monitor.sinks import guard, notation
from monitor.sinks.guard import Network
from monitor.sinks.printable import printable

READ_MAX: Final = 4096
READ_FOR: Final = timedelta(seconds=2)
RETRY_AFTER_MAX: Final = timedelta(days=1)

_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})


class Answer(Struct, frozen=True):
    """*said* is the beginning of the body; *retry_after* is the header as it came."""

    status: int
    said: str
    retry_after: str

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Client:
    """Asks one receiver; open it with ``opened``."""

    def __init__(self, session: aiohttp.ClientSession, timeout: timedelta) -> None:
        self._session = session
        self._timeout = timeout

    async def post(
        self, url: SecretStr, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Post once; ``errors.Undelivered`` or ``Rejected`` where no answer came."""
        return await self._ask("POST", url, body, headers)

    async def get(self, url: SecretStr, headers: Mapping[str, str]) -> Answer:
        """Get once; errors as of ``post``."""
        return await self._ask("GET", url, None, headers)

    async def _ask(
        self,
        method: str,
        url: SecretStr,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        at = notation.origin(url)
        try:
            with anyio.fail_after(self._timeout.total_seconds()):
                return await self._answer(method, url.get_secret_value(), body, headers)
        except TimeoutError:
            raise errors.Undelivered(
                f"{at} did not answer within {durations.text(self._timeout)}"
            ) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise _unsent(at, exc) from None

    async def _answer(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        async with self._session.request(
            method, URL(url), data=body, headers=headers, allow_redirects=False
        ) as response:
            return Answer(
                status=response.status,
                said=await _excerpt(response),
                retry_after=response.headers.get("Retry-After", ""),
            )


@asynccontextmanager
async def opened(
    *, patience: timedelta, ca_file: Path | None, allow_networks: Sequence[Network]
) -> AsyncIterator[Client]:
    """Open a client; Misconfigured where *ca_file* cannot be read."""
    connector = aiohttp.TCPConnector(
        ssl=_tls(ca_file),
        resolver=guard.OpenFirst(aiohttp.DefaultResolver(), allow_networks),
        socket_factory=guard.sockets(allow_networks),
        # Below what servers use, so that they are not the first to hang up.
        keepalive_timeout=4,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "job-monitor", "Accept-Encoding": "identity"},
        trust_env=False,
        auto_decompress=False,
        # The scope around the whole try is the only deadline.
        timeout=aiohttp.ClientTimeout(),
    ) as session:
        yield Client(session, patience)


def verdict(
    what: str, status: int, *, said: str, retry_after: timedelta | None
) -> errors.SinkError:
    """Say what follows from an answer that is not 2xx."""
    if 300 <= status < 400:
        return errors.Rejected(
            f"{what}: redirects are not followed, put the final address into url"
        )
    text = f"{what}: {printable(said)}" if said else what
    if status in _TRY_AGAIN or status >= 500:
        return errors.Undelivered(text, retry_after=retry_after)
    return errors.Rejected(text)


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Read the header: seconds or a date; a day at most."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), RETRY_AFTER_MAX.total_seconds()))
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date in the zone "-0000" comes without one. Source: RFC 5322, 3.3.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(date - now, timedelta(0)), RETRY_AFTER_MAX)


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """Read a little of the body; the status counts even if that never comes."""
    body = bytearray()
    with (
        contextlib.suppress(aiohttp.ClientError),
        anyio.move_on_after(READ_FOR.total_seconds()),
    ):
        while len(body) < READ_MAX:
            chunk = await response.content.read(READ_MAX - len(body))
            if not chunk:
                break
            body += chunk
    return body.decode(errors="replace").strip()


def _unsent(origin: str, exc: Exception) -> errors.SinkError:
    match exc:
        case aiohttp.ClientConnectorCertificateError():
            return errors.Undelivered(
                f"{origin} shows a certificate that is not trusted "
                f"({printable(str(exc.certificate_error))}): name its authority in ca_file"
            )
        case aiohttp.ClientConnectorError(os_error=guard.Closed() as closed):
            return errors.Undelivered(
                f"{origin} is at {closed.address}, which is not open to this sink: "
                "add it to allow_networks"
            )
        case aiohttp.InvalidURL():
            return errors.Rejected(
                f"{origin} is no address: write a name or an IP address in full"
            )
        case aiohttp.ClientConnectorError():
            reason = str(exc.os_error)
        case _:
            reason = type(exc).__name__
    return errors.Undelivered(f"{origin} cannot be reached: {printable(reason)}")


def _tls(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise errors.Misconfigured(
            f"{ca_file}: no certificates of authorities can be read: {exc}"
        ) from exc
