"""Pushes alerts to Alertmanager (API v2), and again and again as long as they hold.

Alertmanager forgets what it is not told: an alert that is not sent again before its
``endsAt`` is over for it. So whatever holds is sent every ``resend_every``, with an
end four times that far ahead, as Prometheus does it: three rounds in a row may be
lost, or the daemon be restarted, before anybody is told that all is well. When an
alert ends it is sent once more, with its end.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Never

import anyio
import msgspec
import structlog
from msgspec import Struct
from pydantic import SecretStr

from monitor import errors
from monitor.core.message import Message
from monitor.formats import reading
from monitor.formats.alertmanager import CONTENT_TYPE, Labelled
from monitor.ports import Now
from monitor.sinks import http, notation, secrets
from monitor.sinks.alertmanager import held
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.alertmanager.held import Held
from monitor.sinks.http import Answer, Client

PATH: Final = "/api/v2/alerts"
BATCH: Final = 200
"""Alerts of one request: half a megabyte at most."""

LOST_ROUNDS: Final = 4
"""In so many rounds without a word Alertmanager takes an alert for over."""

_FAULTY: Final = frozenset({400, 413, 422})
"""The alerts are refused; any other status is about the address or who we are."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Posted(Struct, omit_defaults=True):
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime = msgspec.field(name="startsAt")
    ends_at: datetime = msgspec.field(name="endsAt")
    generator_url: str = msgspec.field(name="generatorURL", default="")


class AlertmanagerSink:
    def __init__(
        self,
        config: AlertmanagerConfig,
        client: Client,
        headers: dict[str, str],
        *,
        now: Now,
    ) -> None:
        self._config = config
        self._client = client
        self._headers = headers
        self._now = now
        self._held = Held()
        self._round = anyio.Lock()
        self._silent: set[str] = set()

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        data = reading.notification(message)
        before = after = self._held.take(message.key)
        try:
            async with self._round:
                pass  # what a round has already put on its way arrives first
            holding, over = held.compared(before, message, data)
            if len(self._held) + len(holding) > held.MOST:
                raise errors.Undelivered(f"{held.MOST} alerts are held already")
            # Also if nobody takes it now: the next round will bring it.
            after = holding
            posted = [_ended(alert, message.time) for alert in over.values()]
            await self._push([*posted, *self._going_on(holding.values())])
        except errors.Rejected:
            after = before
            raise
        finally:
            self._held.put(message.key, after)

    async def resend(self) -> Never:
        """Tell of what holds, until cancelled.

        Where nobody answers, the rest of a round waits for the next.
        """
        while True:
            await anyio.sleep(self._config.resend_every.total_seconds())
            for groups in self._held.batches(BATCH):
                if not await self._sent_again(groups):
                    break

    async def _sent_again(self, groups: Sequence[str]) -> bool:
        async with self._round:
            holding = self._held.of(groups)
            try:
                await self._push(self._going_on(holding))
            except errors.Rejected:
                return True  # about these alerts alone; the others must not expire
            except errors.Undelivered:
                return False  # about the members, and known of each
            return True

    def _going_on(self, alerts: Iterable[Labelled]) -> list[_Posted]:
        until = self._now() + LOST_ROUNDS * self._config.resend_every
        return [_ended(alert, until) for alert in alerts]

    async def _push(self, alerts: Sequence[_Posted]) -> None:
        """Send to all members; raise where none of them took it."""
        for some in [alerts[n : n + BATCH] for n in range(0, len(alerts) or 1, BATCH)]:
            body = msgspec.json.encode(some)
            refusals: list[errors.SinkError] = []
            async with anyio.create_task_group() as tasks:
                for url in self._config.urls:
                    tasks.start_soon(self._send, url, body, refusals)
            if len(refusals) == len(self._config.urls):
                raise _mildest(refusals)

    async def _send(
        self, url: SecretStr, body: bytes, refusals: list[errors.SinkError]
    ) -> None:
        where, headers = notation.origin(url), self._headers
        try:
            answer = await self._client.post(
                SecretStr(f"{url.get_secret_value()}{PATH}"),
                body,
                {**headers, "Content-Type": CONTENT_TYPE},
            )
            if not answer.taken:
                await self._judge(where, answer, headers)
        except errors.SinkError as refusal:
            refusals.append(refusal)
            self._report_silence(where, refusal)
        else:
            self._report_answer(where)

    async def _judge(
        self, where: str, answer: Answer, headers: dict[str, str]
    ) -> Never:
        what = f"{where} answered {answer.status}"
        verdict = http.verdict(
            what,
            answer.status,
            said=secrets.masked(answer.said, headers.values()),
            retry_after=http.retry_after(answer.retry_after, self._now()),
        )
        if answer.status in _FAULTY or isinstance(verdict, errors.Undelivered):
            raise verdict
        if answer.status in (401, 403):
            await self._prove_anew(what)
        raise errors.Undelivered(str(verdict))

    async def _prove_anew(self, what: str) -> None:
        try:
            self._headers = await _headers(self._config)
        except errors.Misconfigured as exc:
            raise errors.Undelivered(f"{what}, and {exc}") from None

    def _report_silence(self, where: str, why: errors.SinkError) -> None:
        # A line when a member begins to fail, and one when it is back.
        if where not in self._silent:
            self._silent.add(where)
            log.warning("alertmanager.failing", sink=self.name, at=where, why=str(why))

    def _report_answer(self, where: str) -> None:
        if where in self._silent:
            self._silent.discard(where)
            log.info("alertmanager.recovered", sink=self.name, at=where)


def body(config: AlertmanagerConfig, message: Message, now: datetime) -> bytes:
    """Write what would be sent if this were the first message of its group."""
    data = reading.notification(message)
    holding, over = held.compared(held.NONE, message, data)
    until = now + LOST_ROUNDS * config.resend_every
    ended = (_ended(alert, message.time) for alert in over.values())
    going_on = (_ended(alert, until) for alert in holding.values())
    return msgspec.json.encode([*ended, *going_on])


@asynccontextmanager
async def opened(
    config: AlertmanagerConfig, *, now: Now
) -> AsyncIterator[AlertmanagerSink]:
    headers = await _headers(config)
    async with http.opened(
        patience=config.timeout,
        ca_file=config.ca_file,
        allow_networks=config.allow_networks,
    ) as client:
        sink = AlertmanagerSink(config, client, headers, now=now)
        async with _resending(sink):
            yield sink


@asynccontextmanager
async def _resending(sink: AlertmanagerSink) -> AsyncIterator[None]:
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.resend, name=f"sink {sink.name}: again")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # What ends the body passes as it is: others wait for it by its type.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


async def _headers(config: AlertmanagerConfig) -> dict[str, str]:
    found = await secrets.headers(config.headers, config.headers_file)
    if config.username is not None:
        password = await secrets.word(config.password, config.password_file)
        pair = f"{config.username}:{password}".encode()
        found["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return found


def _ended(alert: Labelled, at: datetime) -> _Posted:
    return _Posted(
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        starts_at=alert.since,
        # An end before the beginning is refused; clocks were set back before.
        ends_at=max(at, alert.since),
        generator_url=alert.link or "",
    )


def _mildest(refusals: Sequence[errors.SinkError]) -> errors.SinkError:
    """Try again if any member may still take it."""
    undelivered = (r for r in refusals if isinstance(r, errors.Undelivered))
    return next(undelivered, refusals[0])
