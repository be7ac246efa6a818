"""One BlueKing JOB endpoint of the v2 generation, as the poller sees it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import tzinfo
from typing import Literal

from monitor import errors
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.job import badge, carrier, v2
from monitor.job import digest as digests
from monitor.job.badge import Badge
from monitor.job.carrier import Answer, Carrier, Route
from monitor.ports import Look, Means

Credentials = Callable[[], Mapping[str, str]]
"""Reads ``bk_app_code``, ``bk_app_secret`` and one of ``bk_username``,
``bk_token``, ``bk_access_token``, wherever they are kept."""


class SourceConfig(Route, frozen=True, kw_only=True):
    """A route, and who we are there; *timezone* is that of v2's naive times."""

    name: str
    credentials: Credentials
    credentials_in: Literal["body", "header"] = "body"
    language: str = "en"
    timezone: tzinfo
    tenant: str | None = None


class JobSource:
    """Satisfies ``ports.Source``; reads its credentials anew once refused."""

    def __init__(self, config: SourceConfig, carrier: Carrier) -> None:
        self._config = config
        self._carrier = carrier
        self._badge: Badge | None = None

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def means(self) -> Means:
        return Means()

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        shown = self._badge = self._badge or self._read_badge()
        body = v2.body(key, shown.fields)
        answer = await self._carrier.post(v2.PATH, body, shown.headers)
        seen = digests.of(answer.body)
        if answer.status == 200 and seen == digest:
            return Look(seen, None)

        try:
            return Look(seen, self._decipher(answer, key))
        except errors.SourceError as error:
            self._judge(shown, error)

        # Read once more without our secrets, which the other side may repeat: in
        # the error itself it is too late, a cut text may end in half a secret.
        quiet = Answer(answer.status, answer.headers, shown.hushed(answer.body))
        return Look(b"", self._decipher(quiet, key))

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        raise errors.Garbled("v2 has no groups")

    async def page(self, query: Query) -> Page:
        raise errors.Garbled("v2 has no list")

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        raise errors.Garbled("not built")

    def _read_badge(self) -> Badge:
        try:
            return badge.of(self._config.credentials(), self._config.credentials_in)
        except OSError as error:
            raise errors.Refused(f"credentials cannot be read: {error}") from error

    def _judge(self, shown: Badge, error: errors.SourceError) -> None:
        # Another look may have read newer ones meanwhile.
        if isinstance(error, errors.Refused) and self._badge is shown:
            self._badge = None

    def _decipher(self, answer: Answer, key: InstanceKey) -> Snapshot:
        return v2.decipher(
            answer.status,
            answer.headers,
            answer.body,
            key,
            timezone=self._config.timezone,
        )


@asynccontextmanager
async def opened(config: SourceConfig) -> AsyncIterator[JobSource]:
    """Open the way to one source; raises ``Misconfigured`` on a bad certificate."""
    async with carrier.opened(config, _headers(config)) as way:
        yield JobSource(config, way)


def _headers(config: SourceConfig) -> dict[str, str]:
    # Source: bk-job AddEsbLangHeaderGatewayFilterFactory and
    # CheckTenantGatewayFilterFactory, read 2026-11.
    headers = {
        "Blueking-Language": config.language,
        "User-Agent": "job-monitor",
    }
    return headers | ({"X-Bk-Tenant-Id": config.tenant} if config.tenant else {})
