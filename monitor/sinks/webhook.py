"""One CloudEvent per POST, signed by Standard Webhooks, tried once.

Its address is never shown beyond the origin, and no error is chained to one of
aiohttp's: those print whole addresses. The answer is shown masked and bounded.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import anyio
from yarl import URL

from monitor import durations, errors
from monitor.core.message import CONTENT_TYPE, Message
from monitor.ports import Now
from monitor.sinks import credentials, guard, signature
from monitor.sinks.config import WebhookConfig
from monitor.sinks.credentials import Credentials
from monitor.sinks.printable import printable

READ_MAX: Final = 4096
READ_FOR: Final = timedelta(seconds=2)
RETRY_AFTER_MAX: Final = timedelta(days=1)

_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})


@asynccontextmanager
async def opened(config: WebhookConfig, *, now: Now) -> AsyncIterator["WebhookSink"]:
    proven = await credentials.read(config)
    connector = aiohttp.TCPConnector(
        ssl=_tls(config),
        resolver=guard.OpenFirst(aiohttp.DefaultResolver(), config.allow_networks),
        socket_factory=guard.sockets(config.allow_networks),
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
        yield WebhookSink(config, session, proven, now=now)


class WebhookSink:
    def __init__(
        self,
        config: WebhookConfig,
        session: aiohttp.ClientSession,
        proven: Credentials,
        *,
        now: Now,
    ) -> None:
        self._config = config
        self._session = session
        self._credentials = proven
        self._now = now

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        origin, timeout = self._config.origin, self._config.timeout
        proven = self._credentials
        try:
            with anyio.fail_after(timeout.total_seconds()):
                await self._post(message, proven)
        except TimeoutError:
            raise errors.Undelivered(
                f"{origin} did not answer within {durations.text(timeout)}"
            ) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise _unsent(origin, exc) from None

    async def _post(self, message: Message, proven: Credentials) -> None:
        body, now = message.cloudevent(), self._now()
        headers = {
            **proven.headers,
            "Content-Type": CONTENT_TYPE,
            **signature.headers(proven.keys, message.id, int(now.timestamp()), body),
        }
        url = URL(self._config.url.get_secret_value())
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if 200 <= response.status < 300:
                return
            said = proven.masked(await _excerpt(response))
            if response.status in (401, 403):
                await self._prove_anew(proven, response.status)
            raise verdict(
                f"{self._config.origin} answered {response.status}",
                response.status,
                said=said,
                retry_after=retry_after(response.headers.get("Retry-After", ""), now),
            )

    async def _prove_anew(self, refused: Credentials, status: int) -> None:
        """Read the files again; raise Undelivered where another try may be believed."""
        if self._credentials == refused:
            try:
                self._credentials = await credentials.read(self._config)
            except errors.Misconfigured as exc:
                raise errors.Undelivered(
                    f"{self._config.origin} answered {status}, and {exc}"
                ) from None
        if self._credentials != refused:
            raise errors.Undelivered(
                f"{self._config.origin} answered {status}; credentials were read anew"
            )


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


def _tls(config: WebhookConfig) -> ssl.SSLContext | bool:
    if config.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except OSError as exc:
        raise errors.Misconfigured(
            f"{config.ca_file}: no certificates of authorities can be read: {exc}"
        ) from exc
