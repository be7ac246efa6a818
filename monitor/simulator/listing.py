"""The endpoint get_job_instance_list, in v3 and v4, with the limits of each.

Only the page that was asked for is put into words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from monitor.simulator import v3
from monitor.simulator.asked import scoped
from monitor.simulator.envelope import Generation, Told
from monitor.simulator.instance import Instance
from monitor.simulator.question import Question, Scope
from monitor.simulator.refusal import Refused, forbidden
from monitor.simulator.timeline import RUNNING, STOPPING, WAITING_USER, Moment
from monitor.simulator.v4 import without_nulls
from monitor.simulator.wording import stringly, times
from monitor.simulator.world import World

# bk-job EsbGetJobInstanceListV3ResourceImpl and Consts.java: 30 days at most.
_RANGE_MS: Final = 30 * 24 * 3600 * 1000
_V3_LENGTH: Final = 1000
# bk-job V4 request's annotations.
_V4_LENGTH, _V4_OFFSET = 200, 10_000

# Rows that have no duration yet get one by the server's clock (TaskInstanceDAOImpl).
_LIVE: Final = frozenset({RUNNING, WAITING_USER, STOPPING})


def in_v3(world: World, question: Question) -> Told:
    scope = _visible(world, question, Generation.V3)
    earliest, latest = _window(question)
    if not 0 < latest - earliest <= _RANGE_MS:
        raise Refused(1241007)
    start = _within(question, "start", default=0, most=None)
    length = _within(question, "length", default=20, most=_V3_LENGTH, least=1)
    now = world.now()
    found = list(_found(world, question, scope, now))
    page = found[start : start + length]
    said = {
        "start": start,
        "length": length,
        "total": len(found),
        "data": list(_rows(world, page, now)),
    }
    return Told(data=msgspec.json.encode(said))


def in_v4(world: World, question: Question) -> Told:
    scope = _visible(world, question, Generation.V4)
    _window(question)
    offset = _within(question, "offset", default=0, most=_V4_OFFSET)
    length = _within(question, "length", default=10, most=_V4_LENGTH, least=1)
    now = world.now()
    page = islice(_found(world, question, scope, now), offset, offset + length)
    rows = list(map(without_nulls, _rows(world, page, now)))
    return Told(data=msgspec.json.encode({"job_instance_list": rows}))


def _visible(world: World, question: Question, generation: Generation) -> Scope:
    scope = scoped(question, generation)
    if scope.number in world.forbidden:
        # The rows need no view_history here, only the business as such.
        raise forbidden(scope, "access_business")
    return scope


def _window(question: Question) -> tuple[int, int]:
    start = question.number("create_time_start")
    end = question.number("create_time_end")
    if start is None or end is None:
        raise Refused(1241007)
    return start, end


def _within(
    question: Question, name: str, *, default: int, most: int | None, least: int = 0
) -> int:
    if not question.text(name):
        return default
    number = question.number(name)
    if number is None or number < least or (most is not None and number > most):
        raise Refused(1241007)
    return number


def _found(
    world: World, question: Question, scope: Scope, now: float
) -> Iterator[Instance]:
    """Find what is not archived and fits, newest first."""
    wishes = _wishes(question)
    for instance in _candidates(world, question, scope):
        if not wishes and not instance.is_mortal:
            yield instance
            continue
        moment = instance.moment(now)
        if moment is not None and all(wish(instance, moment) for wish in wishes):
            yield instance


def _candidates(world: World, question: Question, scope: Scope) -> list[Instance]:
    if world.tenant not in {None, question.tenant}:
        return []
    if question.text("job_instance_id"):
        # The id alone counts then, and the business.
        identifier = question.number("job_instance_id") or 0
        one = world.find(scope.number, identifier, kind=scope.kind)
        return [] if one is None else [one]
    return world.history.newest_first(scope, *_window(question))


Wish = Callable[[Instance, Moment], bool]


def _wishes(question: Question) -> list[Wish]:
    """Read the filters that are set; all must hold."""
    if question.text("job_instance_id"):
        return []
    return [
        make(question.text(name))
        for name, make in _FILTERS.items()
        if question.text(name)
    ]


def _exactly(of: Callable[[Instance, Moment], Any]) -> Callable[[str], Wish]:
    return lambda text: lambda instance, moment: str(of(instance, moment)) == text


def _named_like(text: str) -> Wish:
    return lambda instance, _: text in instance.name


def _aimed_at(ip: str) -> Wish:
    return lambda _, moment: any(
        row.host.ip == ip for step in moment.steps for row in step.rows
    )


_FILTERS: Final[Mapping[str, Callable[[str], Wish]]] = {
    "name": _named_like,
    "operator": _exactly(lambda instance, _: instance.launch.operator),
    "launch_mode": _exactly(lambda instance, _: instance.launch.launch_mode),
    "type": _exactly(lambda instance, _: instance.type),
    "job_cron_id": _exactly(lambda instance, _: instance.launch.cron_id),
    "status": _exactly(lambda _, moment: moment.status),
    "ip": _aimed_at,
}


def _rows(
    world: World, page: Iterable[Instance], now: float
) -> Iterator[dict[str, Any]]:
    for instance in page:
        moment = instance.moment(now)
        if moment is not None:
            yield _row(world, instance, moment, now)


def _row(
    world: World, instance: Instance, moment: Moment, now: float
) -> dict[str, Any]:
    words = world.wording(instance)
    launch = instance.launch
    # bk-job EsbTaskInstanceV3DTO; the documents' id, task_status and task_type are
    # not what is sent.
    row = {
        **v3.scope_fields(words),
        "job_instance_id": instance.job_instance_id,
        "job_plan_id": launch.plan_id,
        "job_template_id": launch.template_id,
        "name": instance.name,
        "operator": launch.operator,
        "launch_mode": launch.launch_mode,
        "status": moment.status,
        **times(moment, words),
        "create_time": words.epoch_ms(0.0),
        "type": instance.type,
    }
    if row["total_time"] is None and moment.status in _LIVE:
        row["total_time"] = _so_far(instance, moment, now)
    return dict(stringly(row)) if words.stringly else row


def _so_far(instance: Instance, moment: Moment, now: float) -> int | None:
    if moment.started is None:
        return None
    return round((now - instance.began - moment.started) * 1000)
