"""From settings to the plain values that the parts take.

Together with ``service`` the only reader of settings beside the command line.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import structs

from monitor import errors
from monitor.agenda import Rules
from monitor.core import matchers, quiet, sweeping, telling
from monitor.core.alerts import Name, Stage
from monitor.core.cadence import Limits
from monitor.core.inhibition import Rule
from monitor.core.message import Kind, Message
from monitor.core.obstacle import Flapping
from monitor.core.policy import Policy, Trouble
from monitor.core.quiet import Daily, Maintenance, Origin, Silence
from monitor.core.routing import Route
from monitor.core.subscription import Subscription
from monitor.core.watch import Severity
from monitor.core.ways import Ways
from monitor.deciding import Listener
from monitor.dispatching import Care
from monitor.job.source import SourceConfig
from monitor.notifier import Habits
from monitor.settings import routes, secret
from monitor.settings.levels import NONE, Level
from monitor.settings.model import (
    AlertSettings,
    Settings,
    SourceSettings,
    WebSettings,
)
from monitor.settings.routes import RouteSettings
from monitor.sight import Patience
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.heartbeat.config import HeartbeatConfig
from monitor.sinks.log.config import LogConfig
from monitor.storm import Bound
from monitor.web.config import WebConfig

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

STARTUP_SPREAD: Final = 10.0
"""Seconds over which first visits are spread, at most."""

SWEPT: Final = timedelta(seconds=2)
"""Between two pages of a list, while ``min_interval`` is left unset."""

CONFIRMED_AND_TOLD: Final = timedelta(seconds=5)
"""Beyond all waits: what the last look and the notification take, with room."""

AT_THE_END: Final = (Name.HOSTS_FAILED, Name.JOB_FAILED, Name.HOSTS_UNFINISHED)
"""What may be wrong with a job that is over."""


def source_config(name: str, source: SourceSettings) -> SourceConfig:
    return SourceConfig(
        name=name,
        url=source.url,
        api=source.api,
        system_api=source.system_api,
        credentials=lambda: credentials(source),
        credentials_in=source.credentials_in,
        language=source.language,
        timezone=source.timezone,
        tenant=source.tenant,
        ca_file=source.ca_file,
        client_cert_file=source.client_cert_file,
        client_key_file=source.client_key_file,
        proxy=source.proxy,
        connect_timeout=source.connect_timeout,
        timeout=source.timeout,
        max_body=source.max_body,
        max_in_flight=source.max_in_flight,
    )


def credentials(source: SourceSettings) -> Mapping[str, str]:
    """Read the credentials anew; OSError where a file of theirs is no longer there."""
    try:
        found = {
            "bk_app_code": source.app_code,
            "bk_app_secret": secret.reveal(source.app_secret, source.app_secret_file),
            "bk_username": source.username,
            "bk_token": secret.reveal(source.token, source.token_file),
            "bk_access_token": secret.reveal(
                source.access_token, source.access_token_file
            ),
        }
    except errors.Misconfigured as error:
        raise OSError(str(error)) from error
    return {name: value for name, value in found.items() if value is not None}


def spread(settings: Settings) -> float:
    return min(settings.polling.max_interval.total_seconds(), STARTUP_SPREAD)


def patience(settings: Settings) -> Patience:
    lost_after = settings.polling.lost_after.total_seconds()
    return Patience(lost_after=lost_after, spread=spread(settings))


def rules(settings: Settings, source: SourceSettings) -> Rules:
    floor = settings.polling.min_interval
    limits = Limits(
        floor=None if floor is None else floor.total_seconds(),
        cap=settings.polling.max_interval.total_seconds(),
    )
    return Rules(
        limits=limits,
        settle=settings.polling.settle,
        least_settle=first_told(settings) + CONFIRMED_AND_TOLD,
        spread=spread(settings),
        early=settings.polling.early_failures.total_seconds(),
        policy=policy(settings.alerts),
        web_url=source.web_url,
        locale=settings.locale,
    )


def first_told(settings: Settings) -> timedelta:
    """Say how long after the end of a job somebody may first have to be told of it."""
    routes = [*_all(root_route(settings))]
    wait = max(route.rules.group_wait for route in routes)
    if settings.polling.logs:
        wait = max(wait, telling.Rules().log_wait)
    return wait + max(_patience(route.rules) for route in routes)


def _all(route: Route) -> Iterator[Route]:
    yield route
    for each in route.routes:
        yield from _all(each)


def _patience(rules: telling.Rules) -> timedelta:
    held = max(rules.holding[name] for name in AT_THE_END)
    return max(held, rules.settle_for, rules.after)


def policy(alerts: AlertSettings) -> Policy:
    severities = {
        trouble: Severity(level)
        for trouble, level in _levels(alerts)
        if level not in {None, NONE}
    }
    return Policy(
        severities=severities,
        overdue_after=alerts.overdue_after,
        overdue_percentile=alerts.overdue_percentile,
        stalled_after=alerts.stalled_after,
    )


def _levels(alerts: AlertSettings) -> Iterator[tuple[Trouble, Level | None]]:
    for stage in Stage:
        yield stage, getattr(alerts.hosts_failed.severity, stage)
    for name in Name:
        if name is not Name.HOSTS_FAILED:
            yield name, getattr(alerts, name).severity


def sweep_limits(settings: Settings) -> sweeping.Limits:
    floor = settings.polling.min_interval or SWEPT
    return sweeping.Limits(
        floor=floor.total_seconds(),
        cap=settings.polling.max_interval.total_seconds(),
    )


def telling_rules(alerts: AlertSettings) -> telling.Rules:
    return telling.Rules(
        at_least=alerts.hosts_failed.at_least,
        percent=alerts.hosts_failed.percent,
        holding={name: getattr(alerts, name).for_ for name in Name},
        never=frozenset(what for what, level in _levels(alerts) if level == NONE),
        settle_for=alerts.settle_for,
        group_wait=alerts.group_wait,
        group_interval=alerts.group_interval,
        repeat_interval=alerts.repeat_interval,
    )


def root_route(settings: Settings, guests: Sequence[str] = ()) -> Route:
    """Build the tree of routes.

    Sinks that no route names, and *guests*, hear of everything; fallbacks do not.
    """
    alerts = settings.alerts
    everyone = [sink.name for sink in sinks(settings) if Kind.ALERTS in sink.send]
    # Who stands in for another is told in its stead alone, unless a route says more.
    known = {name for _, name in routes.named(settings.routes)}
    known |= {*fallbacks(settings).values()}
    others = (*(name for name in everyone if name not in known), *guests)
    rules = telling_rules(alerts)
    by = tuple(alerts.group_by)
    alone = _ungrouped(settings)
    if not settings.routes:
        return Route(name="default", sinks=others, by=by, rules=rules, ungrouped=alone)
    rest = Route(name="unnamed", sinks=others, by=by, rules=rules, goes_on=True)
    root = Route(name="routes", sinks=(), by=by, rules=rules, ungrouped=alone)
    return structs.replace(root, routes=(rest, *_routes(settings.routes, root)))


def _routes(given: Sequence[RouteSettings], above: Route) -> Iterator[Route]:
    for number, route in enumerate(given):
        rules = structs.replace(above.rules, after=route.after, **_own(route))
        here = Route(
            name=f"{above.name}[{number}]",
            sinks=route.sinks or above.sinks,
            matchers=tuple(matchers.parse(text) for text in route.match),
            by=tuple(route.group_by or above.by),
            rules=rules,
            goes_on=route.continue_,
        )
        within = structs.replace(here, name=f"{here.name}.routes")
        yield structs.replace(here, routes=tuple(_routes(route.routes, within)))


def _own(route: RouteSettings) -> dict[str, timedelta]:
    """Give what a route says itself of how patient to be."""
    said = {
        "group_wait": route.group_wait,
        "group_interval": route.group_interval,
        "repeat_interval": route.repeat_interval,
        "settle_for": route.settle_for,
    }
    return {name: value for name, value in said.items() if value is not None}


def inhibiting(alerts: AlertSettings) -> list[Rule]:
    return [
        Rule(
            name=f"alerts.inhibit[{number}]",
            source=tuple(matchers.parse(text) for text in rule.source_match),
            target=tuple(matchers.parse(text) for text in rule.target_match),
            equal=rule.equal,
        )
        for number, rule in enumerate(alerts.inhibit)
    ]


def _ungrouped(settings: Settings) -> frozenset[str]:
    """Name the sinks that are told of each instance by itself.

    Alertmanager groups by its own rules, and must hear of every alert there is: a
    message about many names a hundred.
    """
    return frozenset(
        sink.name for sink in settings.sinks if isinstance(sink, AlertmanagerConfig)
    )


def silences(settings: Settings) -> Iterator[Silence]:
    for number, given in enumerate(settings.silences):
        yield Silence(
            id=f"silences[{number}]",
            matchers=tuple(matchers.parse(text) for text in given.match),
            starts_at=given.from_ or BEGINNING,
            ends_at=given.until,
            author=given.author,
            comment=given.comment,
            origin=Origin.FILE,
        )


def maintenance(settings: Settings) -> Iterator[Maintenance]:
    for given in settings.maintenance:
        days = quiet.read_days(given.days)
        yield Maintenance(
            name=given.name,
            matchers=tuple(matchers.parse(text) for text in given.match),
            daily=Daily(
                start=given.from_, end=given.to, days=days, timezone=given.timezone
            ),
            starts_at=given.starts_at,
            ends_at=given.ends_at,
            comment=given.comment,
            origin=Origin.FILE,
        )


def habits(alerts: AlertSettings) -> Habits:
    return Habits(
        flapping=Flapping(alerts.flapping.changes, alerts.flapping.window),
        storm=Bound(messages=alerts.storm.messages, per=alerts.storm.per),
        group_interval=alerts.group_interval,
    )


def heartbeats(settings: Settings) -> list[HeartbeatConfig]:
    return [sink for sink in settings.sinks if isinstance(sink, HeartbeatConfig)]


def sinks(settings: Settings) -> tuple[SinkConfig, ...]:
    """List the sinks that are sent messages.

    If none is a log, ours still hears of lost sources.
    """
    takers = tuple(sink for sink in settings.sinks if sink.send)
    if any(isinstance(sink, LogConfig) for sink in takers):
        return takers
    about_sources = 'type=~"bkjob[.]source[.].*"'
    ours = LogConfig(
        name="log", kind="log", send=(Kind.EVENTS,), match=(about_sources,)
    )
    return (*takers, ours)


def subscriptions(
    settings: Settings, guests: Sequence[str], now: datetime
) -> list[Subscription]:
    """Say what each sink asks for, to be remembered; *guests* ask for everything."""
    configured = [
        Subscription(sink=sink.name, send=tuple(sink.send), match=sink.match, since=now)
        for sink in sinks(settings)
    ]
    everything = tuple(Kind)
    return [
        *configured,
        *(Subscription(sink=guest, send=everything, since=now) for guest in guests),
    ]


def wants(sink: SinkConfig) -> Callable[[Message], bool] | None:
    """Say which events *sink* wants; None: it reads no events."""
    if Kind.EVENTS not in sink.send:
        return None
    wanted = sink.matchers
    return lambda message: matchers.all_match(wanted, message.traits)


def care(sink: SinkConfig) -> Care:
    return Care(
        fallback=sink.fallback or "",
        fallback_after=sink.fallback_after.total_seconds(),
        max_backlog=sink.max_backlog,
    )


def fallbacks(settings: Settings) -> dict[str, str]:
    return {sink.name: sink.fallback for sink in sinks(settings) if sink.fallback}


def listeners(settings: Settings) -> list[Listener]:
    return [_listener(sink) for sink in sinks(settings) if Kind.ALERTS in sink.send]


def ways(settings: Settings, guests: Sequence[str] = ()) -> Ways:
    known = {each.name: each.unfit for each in listeners(settings)}
    return Ways(
        root_route(settings, guests), {**known, **dict.fromkeys(guests, lambda _: "")}
    )


def _listener(sink: SinkConfig) -> Listener:
    wanted = sink.matchers
    return Listener(
        sink.name,
        lambda traits: matchers.all_match(wanted, traits),
        lambda traits: matchers.unfit(wanted, traits),
        level=sink.level,
    )


def web_config(web: WebSettings) -> WebConfig:
    return WebConfig(
        host=web.listen.host,
        port=web.listen.port,
        token=lambda: secret.reveal(web.token, web.token_file),
        read_token=lambda: secret.reveal(web.read_token, web.read_token_file),
        callback_token=lambda: secret.reveal(
            web.callback_token, web.callback_token_file
        ),
        allow_hosts=web.allow_hosts,
    )
