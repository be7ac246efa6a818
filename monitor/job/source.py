"""One BlueKing JOB endpoint of any generation, as the loops see it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import tzinfo
from typing import Any, Final, Literal, TypeVar

from monitor import errors
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Step
from monitor.core.rate import Quota
from monitor.job import ask, badge, carrier, dialect, envelope, hint, torn
from monitor.job import digest as digests
from monitor.job.ask import Api, Ask
from monitor.job.badge import Badge
from monitor.job.carrier import Answer, Carrier, Route
from monitor.ports import Look, Means

Credentials = Callable[[], Mapping[str, str]]
"""Reads ``bk_app_code``, ``bk_app_secret`` and one of ``bk_username``,
``bk_token``, ``bk_access_token``, wherever they are kept."""

T = TypeVar("T")

_OK: Final = "ok"


class SourceConfig(Route, frozen=True, kw_only=True):
    """A route, and who we are there.

    *credentials_in* is for the ESB: gateways always take the header. *timezone* is
    that of v2's naive times. *heard* is told what a gateway says about its limit.
    """

    name: str
    api: Api = "esb-v2"
    system_api: bool = False
    credentials: Credentials
    credentials_in: Literal["body", "header"] = "body"
    language: str = "en"
    timezone: tzinfo
    tenant: str | None = None
    heard: Callable[[Quota], None] | None = None


class JobSource:
    """Satisfies ``ports.Source``; reads its credentials anew once refused.

    *calls* counts what was asked and how it ended: ``("status", "ok")``.
    """

    def __init__(self, config: SourceConfig, carrier: Carrier) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._config = config
        self._carrier = carrier
        self._dialect = dialect.of(config.api, config.timezone)
        self._manner = ask.manner(config.api, system=config.system_api)
        self._heard = config.heard if self._manner.gateway else None
        self._badge: Badge | None = None

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def means(self) -> Means:
        return self._dialect.means

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        question = self._dialect.look(key, hosts=hosts)
        shown = self._badge = self._badge or self._read_badge()
        # Not ``_carried``: a coroutine less at every poll.
        try:
            answer = await self._sent(question, shown)
        except errors.SourceError as error:
            self._count(question, error)
            raise
        if self._heard:
            self._hear(answer)
        seen = digests.of(answer.body)
        if answer.status == 200 and seen == digest:
            self.calls[question.name, _OK] += 1
            return Look(seen, None)

        return Look(seen, self._read(question, shown, answer))

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        return await self._asked(self._dialect.groups(key, step, most))

    async def page(self, query: Query) -> Page:
        return await self._asked(self._dialect.page(query, self.name))

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        # More than one where hosts go by different names, which is rare.
        asks = self._dialect.tails(key, step_instance_id, hosts)
        found: dict[HostId, str] = {}
        for question in asks:
            ends = await self._asked(question)
            found.update(ends)
        return found

    async def _asked(self, question: Ask[T]) -> T:
        shown = self._badge = self._badge or self._read_badge()
        answer = await self._carried(question, shown)
        return self._read(question, shown, answer)

    async def _carried(self, question: Ask[Any], shown: Badge) -> Answer:
        try:
            answer = await self._sent(question, shown)
        except errors.SourceError as error:
            self._count(question, error)
            raise
        self._hear(answer)
        return answer

    def _sent(self, question: Ask[Any], shown: Badge) -> Coroutine[Any, Any, Answer]:
        path = self._manner.path(question)
        if self._manner.gateway and not question.posted:
            return self._carrier.get(path, ask.query(question), shown.headers)
        body = ask.body(question, shown.fields)
        return self._carrier.post(path, body, shown.headers, question.most)

    def _hear(self, answer: Answer) -> None:
        quota = hint.quota(answer.headers) if self._heard else None
        if quota and self._heard:
            self._heard(quota)

    def _read(self, question: Ask[T], shown: Badge, answer: Answer) -> T:
        try:
            found = _understood(question, answer, answer.body)
        except errors.SourceError as error:
            self._count(question, error)
            self._judge(shown, error)
        else:
            self.calls[question.name, _OK] += 1
            return found

        # Read once more without our secrets, which the other side may repeat: in
        # the error itself it is too late, a cut text may end in half a secret.
        _understood(question, answer, shown.hushed(answer.body))
        raise errors.Garbled("an answer that is readable only without our secrets")

    def _count(self, question: Ask[Any], error: errors.SourceError) -> None:
        self.calls[question.name, type(error).__name__.lower()] += 1

    def _judge(self, shown: Badge, error: errors.SourceError) -> None:
        # Another look may have read newer ones meanwhile.
        if isinstance(error, errors.Refused) and self._badge is shown:
            self._badge = None

    def _read_badge(self) -> Badge:
        config = self._config
        place = "header" if self._manner.gateway else config.credentials_in
        system = self._manner.gateway and config.system_api
        try:
            return badge.of(config.credentials(), place, system=system)
        except OSError as error:
            raise errors.Refused(f"credentials cannot be read: {error}") from error


def _understood(question: Ask[T], answer: Answer, body: bytes) -> T:
    if not answer.cut or answer.status != 200:
        return question.read(envelope.unwrap(answer.status, answer.headers, body))

    start = torn.mended(body)
    found = (
        question.read(envelope.unwrap(answer.status, answer.headers, start))
        if start
        else None
    )
    if not found:
        raise errors.Garbled(
            f"the answer is longer than {len(answer.body)} bytes,"
            " of which nothing is whole"
        )
    return found


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
