"""What events, notifications and the command line say alike.

The shapes are public, here and wherever they stand inside others.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Final, Protocol

from msgspec import Struct

from monitor.core import alerts, codes, message, model, phrases, policy
from monitor.core.alerts import Alert
from monitor.core.model import Address, Failure, HostId, InstanceKey
from monitor.core.transitions import Attempt

NAMED: Final = 3
"""Alerts of several instances that a summary names."""


class Frame(Struct, frozen=True, kw_only=True):
    """What all messages about one subject share.

    The subject is an instance (*instance* is given), a scope (*subject* alone) or
    a source (neither).
    """

    source: str
    key: str
    subject: str | None = None
    instance: InstanceKey | None = None
    labels: Mapping[str, str] = {}
    web_url: str | None = None
    locale: str = "en"


class Known(Protocol):
    """What is used of a snapshot, or of less than one."""

    @property
    def name(self) -> str: ...

    @property
    def plan_id(self) -> int | None: ...


def frame_of(key: str, locale: str = "en") -> Frame:
    """Frame what is said of *key*, as far as the key alone tells."""
    source, _, subject = key.partition("/")
    return Frame(
        source=source,
        key=key,
        subject=subject or None,
        instance=model.read_key(key),
        locale=locale,
    )


class InstanceData(Struct, kw_only=True):
    source: str
    bk_scope_type: str
    bk_scope_id: str
    job_instance_id: int
    name: str


class StatusData(Struct):
    status: int
    status_name: str


class StepData(Struct):
    step_instance_id: int
    execute_count: int
    name: str


class HostData(Struct, kw_only=True, omit_defaults=True):
    """What the API in use does not tell is left out; a container has no ip."""

    ip: str | None
    bk_cloud_id: int | None = None
    bk_host_id: int | None = None
    container_id: str | None = None
    name: str | None = None
    status: int
    status_name: str
    exit_code: int | None = None
    tag: str = ""

    @property
    def shown(self) -> str:
        """What a person reads: an ip, a container's name, or the host's number."""
        return self.ip or self.name or self.container_id or f"#{self.bk_host_id or 0}"


def traits(frame: Frame, type_: str, severity: str) -> dict[str, str]:
    """Say what matchers see of a message; our own names win over labels."""
    own = {"type": str(type_), "source": frame.source}
    return {**frame.labels, **own, **({"severity": severity} if severity else {})}


def alert_traits(
    frame: Frame, alert: Alert, name: str = "", plan_id: int | None = None
) -> dict[str, str]:
    """Say what matchers see of an alert; labels win over what is not always there."""
    key = frame.instance
    facts = {
        "scope": f"{key.scope_type}/{key.scope_id}" if key else frame.subject or "",
        "instance": frame.key if key else "",
        "plan": "" if plan_id is None else str(plan_id),
        "name": name,
        "step": alert.attempt.name if alert.attempt else "",
    }
    own = traits(frame, message.NOTIFICATION, alert.severity)
    return {**facts, **own, "alert": str(alert.name)}


def instance_data(frame: Frame, snapshot: Known | None) -> InstanceData | None:
    key = frame.instance
    if key is None:
        return None
    return InstanceData(
        source=key.source,
        bk_scope_type=key.scope_type,
        bk_scope_id=key.scope_id,
        job_instance_id=key.job_instance_id,
        name=snapshot.name if snapshot else "",
    )


def step_data(attempt: Attempt | None) -> StepData | None:
    if attempt is None:
        return None
    return StepData(attempt.step_instance_id, attempt.execute_count, attempt.name)


def status_data(number: int | None, locale: str) -> StatusData | None:
    if number is None:
        return None
    return StatusData(number, codes.run(number).name(locale))


def host_list(
    hosts: Mapping[HostId, int], failures: Mapping[HostId, Failure], locale: str
) -> list[HostData]:
    """List hosts by cloud area and address, so that the order says nothing."""
    known = {host: model.address(host) for host in hosts}
    return [
        _host_data(known[host], hosts[host], failures.get(host), locale)
        for host in sorted(known, key=lambda host: _by_address(known[host]))
    ]


def failed_list(failures: Mapping[HostId, Failure], locale: str) -> list[HostData]:
    statuses = {host: failure.status for host, failure in failures.items()}
    return host_list(statuses, failures, locale)


def _host_data(
    address: Address, status: int, failure: Failure | None, locale: str
) -> HostData:
    if failure is None or failure.status != status:
        failure = Failure(status, 0)
    return HostData(
        ip=address.ip,
        bk_cloud_id=address.bk_cloud_id,
        bk_host_id=address.bk_host_id,
        container_id=address.container_id,
        name=address.name,
        status=status,
        status_name=codes.host(status).name(locale),
        exit_code=failure.exit_code,
        tag=failure.tag,
    )


def _by_address(address: Address) -> tuple[int, int, int, int, str]:
    cloud = -1 if address.bk_cloud_id is None else address.bk_cloud_id
    number, name = address.bk_host_id or 0, address.container_id or ""
    try:
        ip = ip_address(address.ip or "")
    except ValueError:
        return cloud, 0, 0, number, address.ip or name
    return cloud, ip.version, int(ip), number, ""


def summaries(worst: Sequence[Alert], locale: str) -> str:
    """Say in a few words all that is wrong, the same only once."""
    said = dict.fromkeys(summary(alert, locale) for alert in worst)
    return phrases.spoken(locale).joint.join(said)


def summary(alert: Alert, locale: str) -> str:
    """Say in a few words what is wrong."""
    words, attempt = phrases.spoken(locale), alert.attempt
    phrase: str = getattr(words, _phrase(alert))
    is_cause = alert.name is alerts.Name.SOURCE_LOST
    return phrase.format(
        failed=alert.failed,
        unfinished=alert.unfinished,
        total=alert.total,
        step=attempt.name if attempt else "",
        status=codes.run(alert.status or 0).name(locale),
        reason=words.causes.get(alert.reason, alert.reason)
        if is_cause
        else alert.reason,
        limit=_span(alert.limit, words),
    )


def _phrase(alert: Alert) -> str:
    match alert:
        case Alert(name=alerts.Name.JOB_WAITING, attempt=Attempt()):
            return "step_waiting"
        case Alert(name=alerts.Name.JOB_OVERDUE, reason=policy.PAST_RUNS):
            return "longer_than_ever"
        case _:
            return alert.name


def _span(limit: timedelta | None, words: phrases.Phrases) -> str:
    """Write a span of time for people, to the second."""
    seconds = round((limit or timedelta()).total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = zip((hours, minutes, seconds), words.units, strict=True)
    said = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(said) or f"0{words.units[-1]}"


def several(worst: Sequence[Alert], failed: int, count: int, locale: str) -> str:
    """Sum up *count* alerts of several instances, of which *worst* come first."""
    words = phrases.spoken(locale)
    said = [summaries(worst[:NAMED], locale)]
    if count > NAMED:
        said.append(words.more.format(count=count - NAMED))
    what = words.among_them if failed else words.several
    return what.format(count=count, failed=failed, said=words.joint.join(said))


def recovered(status: int | None, locale: str) -> str:
    words = phrases.spoken(locale)
    if status is None:
        return words.recovered
    return words.recovered_as.format(status=codes.run(status).name(locale))


def ended(count: int, locale: str, beside: str = "") -> str:
    """Say of a group of several that *count* alerts are over, *beside* what holds."""
    words = phrases.spoken(locale)
    what = words.also_ended if beside else words.ended
    return what.format(count=count, said=beside)


def link(frame: Frame, snapshot: Known | None, attempt: Attempt | None) -> str | None:
    """Point a person at the instance in JOB, or at the step and attempt.

    Source: the routes of bk-job src/frontend/src/main.js, read 2026-11; a job
    that was not started from a plan has no step page of its own.
    """
    if frame.web_url is None or frame.instance is None:
        return None

    root, job = frame.web_url.rstrip("/"), frame.instance.job_instance_id
    if attempt is None:
        return f"{root}/api_execute/{job}"

    step, retry = attempt.step_instance_id, attempt.execute_count
    if snapshot is not None and snapshot.plan_id is not None:
        return f"{root}/api_execute_step/{job}/{step}?retryCount={retry}"
    return f"{root}/api_execute/{job}?stepInstanceId={step}&retryCount={retry}"
