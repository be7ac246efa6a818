"""One instance: its problems, steps with their attempts, hosts, events, and who was told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web
from msgspec import Struct, structs

from monitor.core.events import EventData
from monitor.core.message import Message
from monitor.core.state import State
from monitor.core.wording import StatusData
from monitor.ports import Reading
from monitor.web.api import asked, events, explain, instances
from monitor.web.api.explain import Explainer
from monitor.web.api.instances import Desk, Standing
from monitor.web.pages import overview
from monitor.web.pages.rendering import Page
from monitor.web.pages.speech import Speech
from monitor.web.shapes.instances import InstanceStateData, StepStateData

PATH: Final = "/instances/{source}/{scope_type}/{scope_id}/{job_instance_id}"

LEDGER: Final = 50
HISTORY: Final = 500
"""Events that are looked through for attempts that are over."""

HOSTS: Final = 200


class Records(instances.Records, events.Records, explain.Records, Protocol):
    """What is read of the store."""


class House(Struct, frozen=True, kw_only=True):
    records: Records
    instances: instances.House
    explaining: explain.House
    acked: Callable[[str], str | None]


class Attempt(Struct, kw_only=True):
    """One attempt of a step; of those that are over, what events tell."""

    number: int
    status: StatusData | None = None
    failed: int = 0
    total: int = 0
    seen_at: datetime | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One event in words."""

    id: str
    at: datetime
    what: str
    tone: str
    said: str


def shown(house: House) -> Callable[..., Any]:
    explainer = Explainer(house.records, house.explaining)

    async def show(request: web.Request, page: Page) -> web.Response:
        locale = page.speech.locale
        key = asked.key_of(request)
        desk = Desk(house.records, overview.in_locale(house.instances, locale))
        state = await desk.known(key)
        found = desk.shown(key, state)
        history = [
            (message, msgspec.json.decode(message.data, type=EventData))
            for _, message in await house.records.logged(
                Reading(key=str(key)), None, HISTORY
            )
        ]
        chosen, hosts = await _hosts(request, state, found, locale)
        return page.response(
            "instance.html",
            instance=found,
            attempts={
                step.step_instance_id: _attempts(step, history) for step in found.steps
            },
            step=chosen,
            hosts=hosts,
            standings=[each.value for each in Standing],
            lines=[_line(*each, page.speech) for each in history[:LEDGER]],
            told=await _told(explainer, str(key), locale),
            acked=house.acked(str(key)),
        )

    return show


async def _hosts(
    request: web.Request, state: State, found: InstanceStateData, locale: str
) -> tuple[StepStateData | None, Any]:
    """Give the step whose hosts are shown, and a page of them."""
    chosen = _chosen(request.query.get("step"), found.steps)
    if chosen is None:
        return None, None
    step = instances.step_of(state, str(chosen.step_instance_id))
    standing = asked.one_of(request, "standing", Standing)
    span = asked.span(request, tuple[int, str])
    span = structs.replace(span, limit=HOSTS)
    return chosen, await instances.page_of_hosts(step, standing, span, locale)


def _chosen(given: str | None, steps: Sequence[StepStateData]) -> StepStateData | None:
    for step in steps:
        if str(step.step_instance_id) == given:
            return step
    return max(steps, key=lambda step: (step.failed, step.hosts), default=None)


History = Sequence[tuple[Message, EventData]]


def _attempts(step: StepStateData, history: History) -> list[Attempt]:
    """Stack the attempts of *step*, the last one first."""
    found: dict[int, Attempt] = {}
    for message, data in history:
        if data.step is None or data.step.step_instance_id != step.step_instance_id:
            continue
        attempt = found.setdefault(
            data.step.execute_count, Attempt(number=data.step.execute_count)
        )
        _add(attempt, message, data)
    found.pop(step.execute_count, None)
    return [found[number] for number in sorted(found, reverse=True)]


def _add(attempt: Attempt, message: Message, data: EventData) -> None:
    attempt.seen_at = attempt.seen_at or message.time
    if data.after is not None and attempt.status is None:
        attempt.status = data.after
    attempt.failed = max(attempt.failed, data.failed or 0)
    attempt.total = max(attempt.total, data.total or 0)


_TONES: Final = {
    "bkjob.hosts.failed": "failed",
    "bkjob.hosts.recovered": "succeeded",
    "bkjob.alert.raised": "warning",
    "bkjob.alert.changed": "warning",
    "bkjob.alert.resolved": "succeeded",
    "bkjob.instance.gone": "unknown",
}


def _line(message: Message, data: EventData, t: Speech) -> Line:
    _, subject, verb = message.type.split(".")
    return Line(
        id=message.id,
        at=message.time,
        what=t(verb if subject == "instance" else f"{subject} {verb}"),
        tone=_TONES.get(message.type, "plain"),
        said=" · ".join(filter(None, _words(data, t))),
    )


def _words(data: EventData, t: Speech) -> Iterator[str]:
    if data.step is not None:
        attempt = t("attempt {number}", number=data.step.execute_count + 1)
        yield f"{data.step.name} ({attempt})"
    if data.before is not None and data.after is not None:
        yield f"{data.before.status_name} → {data.after.status_name}"
    elif data.after is not None:
        yield data.after.status_name
    if data.alert is not None:
        yield f"{data.alert.severity}: {data.alert.summary}"
    elif data.failed is not None and data.total:
        yield t(
            "{failed} of {hosts} hosts failed", failed=data.failed, hosts=data.total
        )
    yield ", ".join(f"{each.count} × {each.status_name}" for each in data.counts)
    yield _named(host.shown for host in data.hosts)


def _named(hosts: Iterable[str]) -> str:
    listed = list(hosts)
    shown = ", ".join(listed[:5])
    return f"{shown} +{len(listed) - 5}" if len(listed) > 5 else shown


async def _told(explainer: Explainer, key: str, locale: str) -> Any:
    try:
        return await explainer.explain(
            explain.Asked(of=key, sink=None, most=10, locale=locale)
        )
    except web.HTTPNotFound:
        return None
