"""What may be configured: every key, its meaning, its default and why.

Frozen, and closed: an unknown key is a fault. Keys of features that are not built
are checked all the same, so that a configuration outlives releases. Relative
paths are resolved by ``loading``, not here.
"""

import re
from collections import Counter
from datetime import timedelta, timezone
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from monitor import durations
from monitor.core import routing
from monitor.core.message import Kind
from monitor.core.model import SCOPE_TYPES
from monitor.settings import fallbacks, stores
from monitor.settings.levels import (
    CriticalSettings,
    HostsFailedSettings,
    JobFailedSettings,
    WarningSettings,
)
from monitor.settings.notation import (
    Address,
    Bytes,
    Duration,
    Listen,
    Offset,
    Positive,
    Url,
)
from monitor.settings.quiet import MaintenanceSettings, SilenceSettings
from monitor.settings.routes import (
    FlappingSettings,
    GroupBy,
    InhibitSettings,
    RouteSettings,
    StormSettings,
    check_sinks,
    named,
)
from monitor.settings.section import Section
from monitor.settings.templates import TemplateName, TemplateSettings, check_template
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.log.config import LogConfig
from monitor.sinks.webhook.config import WebhookConfig
from monitor.sizes import Size


def _source_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,64}", name):
        raise ValueError("the name of a source has a-z, 0-9 and _ only, at most 64")
    if name in SCOPE_TYPES:
        raise ValueError("is a scope type, and keys would become ambiguous")
    return name


SourceName = Annotated[str, AfterValidator(_source_name)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


def _token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value():
        raise ValueError("must not be empty: it would let everybody in")
    return token


Token = Annotated[SecretStr, AfterValidator(_token)]


class SourceSettings(Section):
    """One JOB endpoint with its credentials and its request budget."""

    api: Literal["esb-v2", "esb-v3", "gateway-v3", "gateway-v4"]
    """Which generation of the API to speak. No default: a wrong guess would look
    like an outage."""

    url: Url
    """Where the API is: for ``esb-*`` the platform, for ``gateway-*`` with the
    gateway and the stage."""

    app_code: Text | None = None
    """The application that asks, as registered in the developer centre."""

    app_secret: SecretStr | None = None
    """The application's secret; or ``app_secret_file``."""

    app_secret_file: Path | None = None

    username: Text | None = None
    """On whose behalf; JOB must let this user see the businesses watched."""

    token: SecretStr | None = None
    """A login token instead of the user name; or ``token_file``."""

    token_file: Path | None = None

    access_token: SecretStr | None = None
    """Stands for application and user at once; or ``access_token_file``."""

    access_token_file: Path | None = None

    credentials_in: Literal["body", "header"] = "body"
    """Where credentials travel. ``body`` works with every ESB; gateways always
    take the header."""

    system_api: bool = False
    """Use a gateway's ``/system/`` paths."""

    tenant: Text | None = None
    """Sent as ``X-Bk-Tenant-Id``; null where the platform has no tenants."""

    language: Literal["en", "zh-cn"] = "en"
    """In which language JOB words its messages."""

    timezone: Offset = timezone(timedelta(hours=8))
    """Of the naive times in v2 answers: JOB writes them in its server's zone, which
    is +08:00 nearly everywhere."""

    ca_file: Path | None = None
    """Trust these authorities, and only these; null: the system's."""

    client_cert_file: Path | None = None
    """Present this certificate; it may hold its key as well."""

    client_key_file: Path | None = None
    """The key of that certificate, where it is a file of its own."""

    proxy: Url | None = None
    """An HTTP proxy; null: none, whatever the environment says."""

    web_url: Url | None = None
    """Where people look at JOB, for links; null: no links."""

    requests_per_second: (
        Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None
    ) = None
    """The budget that all requests share; null: only the adaptive limit, which
    learns from errors and throttling."""

    max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests at once, at most. More than this made answers slower, not faster,
    when it was measured."""

    connect_timeout: Positive = timedelta(seconds=5)
    """To reach the host. Short, for a host that is there answers at once."""

    timeout: Positive = timedelta(seconds=30)
    """For one request as a whole."""

    max_body: Bytes = Size(64 << 20)
    """The largest answer to be read: bounds what a broken server can cost."""

    @field_validator("client_key_file")
    @classmethod
    def _key_has_certificate(
        cls, value: Path | None, info: ValidationInfo
    ) -> Path | None:
        if value is not None and info.data.get("client_cert_file") is None:
            raise ValueError("client_cert_file is missing beside it")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [] if self._has("access_token") else list(self._missing())
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} missing: give app_code, app_secret and"
                " username (or token), or else access_token; a secret also as …_file"
            )
        return self

    def _has(self, secret: str) -> bool:
        either = getattr(self, secret), getattr(self, f"{secret}_file")
        return either != (None, None)

    def _missing(self) -> list[str]:
        given = {
            "app_code": self.app_code is not None,
            "app_secret": self._has("app_secret"),
            "username": self.username is not None or self._has("token"),
        }
        return [name for name, there in given.items() if not there]


class PollingSettings(Section):
    min_interval: Positive | None = None
    """Between two looks at one instance, at least. Null: as often as JOB samples
    its own agents, beyond which nothing new can be seen."""

    max_interval: Annotated[Positive, Field(validate_default=True)] = timedelta(
        minutes=1
    )
    """Between two looks at one instance, at most, as far as the budget goes."""

    settle: Duration = timedelta(minutes=30)
    """How long a finished instance is still looked at, since people retry failed
    hosts. 0s: not at all."""

    lost_after: Positive = timedelta(seconds=30)
    """A source is lost when no visit has succeeded for so long."""

    early_failures: Duration = timedelta(seconds=30)
    """How often to ask for the hosts of a running step. 0s: only at first sight,
    when a step begins or ends, and at the end."""

    sweep: Literal["auto", "on", "off"] = "auto"
    """Ask for many instances with one listing where that is cheaper."""

    logs: bool = True
    """Fetch the log tail of failed hosts."""

    @field_validator("max_interval")
    @classmethod
    def _ordered(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        least = info.data.get("min_interval")
        if least is not None and value < least:
            raise ValueError(
                f"max_interval ({durations.text(value)}) is shorter than"
                f" min_interval ({durations.text(least)})"
            )
        return value


class AlertSettings(Section):
    overdue_after: Positive = timedelta(hours=2)
    """An instance that runs longer is overdue; a watch may say otherwise."""

    overdue_percentile: (
        Annotated[float, Field(ge=50, lt=100, allow_inf_nan=False)] | None
    ) = None
    """Such as 95: an instance is overdue when it runs half as long again as 95 % of the
    past runs of its plan, once 20 of them were seen. Null: ``overdue_after`` alone."""

    stalled_after: Positive = timedelta(hours=2, minutes=5)
    """An instance in which nothing has changed for so long is stalled. A step may
    run for two hours by default, and JOB itself gives it up five minutes later."""

    hosts_failed: HostsFailedSettings = HostsFailedSettings()
    hosts_unfinished: WarningSettings = WarningSettings()
    job_failed: JobFailedSettings = JobFailedSettings()
    job_waiting: WarningSettings = WarningSettings()
    job_stalled: WarningSettings = WarningSettings()
    job_overdue: WarningSettings = WarningSettings()
    job_gone: WarningSettings = WarningSettings()
    job_refused: CriticalSettings = CriticalSettings()
    source_lost: CriticalSettings = CriticalSettings()

    settle_for: Duration = timedelta(0)
    """Wait for so long after a failure, and as long as a retry runs, before anybody is
    told. 0s: a retry comes after the alarm."""

    group_wait: Duration = timedelta(seconds=1)
    """Before the first message of an incident, so that one message names all."""

    group_interval: Duration = timedelta(seconds=1)
    """Between two messages about one incident, at least. After the third message that
    ever more hosts fail it doubles, up to five minutes."""

    repeat_interval: Positive = timedelta(hours=4)
    """Remind of what still holds. Half a shift: often enough not to be forgotten. Each
    reminder waits twice as long as the one before it, up to a day."""

    group_by: GroupBy = (routing.INSTANCE,)
    """What is one incident: ``instance``, ``plan``, or the labels that instances share."""

    inhibit: tuple[InhibitSettings, ...] = ()
    """Which alerts explain others, so that those are not told."""

    flapping: FlappingSettings = FlappingSettings()

    storm: StormSettings = StormSettings()


class LogSettings(Section):
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: for people where stderr is a terminal, else JSON lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is less than this is not written."""


class WebSettings(Section):
    listen: Address = Listen("127.0.0.1", 8321)
    """Beyond this machine only with a token."""

    token: Token | None = None
    """What callers present as a bearer; or ``token_file``. None is needed to read on
    loopback; without one nobody can change anything here."""

    token_file: Path | None = None

    read_token: Token | None = None
    """For those who may only read, such as Prometheus; or ``read_token_file``."""

    read_token_file: Path | None = None

    callback_token: Token | None = None
    """What the address given to JOB as callback ends with; or
    ``callback_token_file``. One of its own, since whoever starts jobs learns it;
    null: ``token`` counts, and without that none is needed."""

    callback_token_file: Path | None = None

    allow_hosts: tuple[Text, ...] = ()
    """More names under which browsers may reach this address; others are refused,
    against DNS rebinding."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        guarded = self.token is not None or self.token_file is not None
        if not (guarded or self.listen.loopback):
            raise ValueError(
                f"listening on {self.listen} needs a token or token_file;"
                " without one, listen on 127.0.0.1"
            )
        return self


class Settings(Section):
    """Everything. Build it through ``loading.load``; by itself it reads nothing."""

    # A dict, not a Mapping: pydantic-settings looks into the values of a dict only.
    sources: Annotated[dict[SourceName, SourceSettings], Field(min_length=1)]
    """JOB endpoints by name; the first is meant where a key names none."""

    watch_lists: tuple[Text, ...] = ("watchlist.yaml", "watchlist.d/*")
    """Files, directories and globs, in the order in which they win."""

    polling: PollingSettings = PollingSettings()

    alerts: AlertSettings = AlertSettings()

    routes: tuple[RouteSettings, ...] = ()
    """Who is told of which alerts. A sink that no route names is told of everything
    that its ``match`` lets through."""

    silences: tuple[SilenceSettings, ...] = ()
    """What is told to nobody for a time. More can be said while the daemon runs."""

    maintenance: tuple[MaintenanceSettings, ...] = ()
    """What is told to nobody in windows that come again and again."""

    templates: Annotated[
        dict[TemplateName, TemplateSettings], Field(default_factory=dict)
    ]
    """How messages are written, by name, for sinks with ``format: template``."""

    store: stores.StoreUrl = "sqlite:///monitor.db"
    """What is remembered over restarts: a file, or a database on PostgreSQL. A change
    needs a restart."""

    retention: Positive = timedelta(days=90)
    """How long retired instances, events and deliveries are kept."""

    locale: Literal["en", "zh-CN"] = "en"
    """In which language people are told."""

    shutdown_grace: Duration = timedelta(seconds=10)
    """How long to finish what is under way when told to stop."""

    log: LogSettings = LogSettings()

    web: WebSettings | None = None
    """Null: nothing listens on TCP."""

    sinks: tuple[SinkConfig, ...] = (LogConfig(name="log", kind="log"),)
    """Who is told. By default the log, so that nothing goes unseen."""

    _directory: Path = PrivateAttr(default=Path())

    def beginning_at(self, directory: Path) -> Self:
        """Remember where relative paths started."""
        self._directory = directory
        return self

    @property
    def directory(self) -> Path:
        """Where relative paths start."""
        return self._directory

    @property
    def store_file(self) -> Path:
        """The file of the store, or what it would be called: see ``stores.file``."""
        return stores.file(self.store, self._directory)

    @field_validator("sinks")
    @classmethod
    def _named_once(cls, sinks: tuple[SinkConfig, ...]) -> tuple[SinkConfig, ...]:
        for name, count in Counter(sink.name for sink in sinks).items():
            if count > 1:
                raise ValueError(f"{count} sinks are named {name!r}")
        return sinks

    @field_validator("maintenance")
    @classmethod
    def _windows_named_once(
        cls, windows: tuple[MaintenanceSettings, ...]
    ) -> tuple[MaintenanceSettings, ...]:
        for name, count in Counter(window.name for window in windows).items():
            if count > 1:
                raise ValueError(f"{count} windows are named {name!r}")
        return windows

    @model_validator(mode="after")
    def _templates_are_there(self) -> Self:
        for sink in self.sinks:
            if isinstance(sink, WebhookConfig) and sink.template is not None:
                check_template(sink, self.templates)
        return self

    @model_validator(mode="after")
    def _fallbacks_lead_somewhere(self) -> Self:
        known = {sink.name: sink for sink in self.sinks}
        for sink in self.sinks:
            fallbacks.check(sink, known)
        return self

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        check_sinks(self.routes, inherited=False, place="routes")
        takers = {sink.name for sink in self.sinks if Kind.ALERTS in sink.send}
        for place, name in named(self.routes):
            if name not in takers:
                known = ", ".join(sorted(takers)) or "none"
                raise ValueError(
                    f"{place} leads to {name!r}, which is no sink that takes alerts;"
                    f" there are: {known}"
                )
        return self
