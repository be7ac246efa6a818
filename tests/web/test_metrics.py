import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric, openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read

from monitor import metering
from monitor.core.telling import WhyNot
from monitor.metering import Histogram, Sample
from monitor.web.metrics import PREFIX, Page
from tests.web.serving import Fixed, serving

LABELS = (
    *("version", "source", "endpoint", "result", "by", "sink", "reason", "type"),
    *("name", "severity"),
)
ORDER = (*LABELS, "le").index
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def everything() -> Iterable[Sample]:
    seen = Histogram(metering.LATENESS)
    for value in (0.0, 0.005, 0.3, 1000):
        seen.observe(value)
    yield from metering.build("1.2.3")
    yield from metering.reloads(successful=True, success_at=1.5e9)
    yield from metering.quarantined(3)
    yield from metering.recorded({"bkjob.hosts.failed": 2})
    yield from metering.held({("hosts_failed", "critical"): 1})
    yield from metering.suppressed({"silenced": 6})
    for source in ("prod", "test"):
        yield from metering.calls(source, {("status", "ok"): 3, ("list", "ok"): 1})
        yield from metering.saved(source, {"sweep": 99})
        yield from metering.tokens(source, 12.5)
        yield from metering.part(source, 0.5)
        yield from metering.throttled(source, 2)
        yield from metering.lateness(source, seen)
        yield from metering.unpolled(source, 0.5)
        yield from metering.detection_delay(source, Histogram(metering.DELAY))
        yield from metering.watched(source, 7)
        yield from metering.source_up(source, up=source == "prod")
    yield from metering.callbacks({"moved": 4})
    yield from metering.delivered(
        "oncall", Histogram(metering.DELIVERY), {"rejected": 2}
    )
    yield from metering.sink_up("oncall", up=False)
    yield from metering.backlog("oncall", waiting=5, oldest=12.0, dead=1)
    yield from metering.stalls(Histogram(metering.STALL))
    yield from metering.cluster(nodes=2, differences=1, owned=32, unowned=0, lease=7.5)
    yield from metering.Tenure(gained=64, given_up=32).samples()
    yield from metering.store_up(up=True)


def written(samples: Iterable[Sample]) -> str:
    return Page([Fixed(samples)]).written("")[0].decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    """Give each number by its name without the prefix and its labels."""
    return {
        (s.name.removeprefix(PREFIX), *ordered(s.labels)): s.value
        for family in families_of(text)
        for s in family.samples
    }


def ordered(labels: dict[str, str]) -> list[str]:
    return [labels[name] for name in sorted(labels, key=ORDER)]


def families_of(text: str) -> list[Metric]:
    return list(read(text))


async def test_the_numbers_are_served_in_the_text_format() -> None:
    async with serving(meters=[Fixed(everything())]) as site:
        answer = await site.get("/metrics")

    found = values(answer.body.decode())
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["build_info", "1.2.3"] == 1
    assert found["api_requests_total", "prod", "status", "ok"] == 3
    assert found["api_requests_saved_total", "test", "sweep"] == 99
    assert found["api_budget_tokens", "prod"] == 12.5
    assert found["api_budget_part", "prod"] == 0.5
    assert found["source_up", "prod"] == 1
    assert found["source_up", "test"] == 0
    assert found["callbacks_total", "moved"] == 4


async def test_openmetrics_is_served_to_who_asks_for_it() -> None:
    async with serving(meters=[Fixed(everything())]) as site:
        answer = await site.get(
            "/metrics", Accept="application/openmetrics-text; version=1.0.0"
        )

    text = answer.body.decode()
    found = read_openmetrics(text)  # type: ignore[no-untyped-call]
    names = {family.name for family in found}
    assert (
        openmetrics.exposition.CONTENT_TYPE_LATEST.split(";")[0]
        == (answer.headers["content-type"].split(";")[0])
    )
    assert f"{PREFIX}api_requests" in names


@pytest.mark.parametrize(
    "accept", ["text/plain; version=x", "application/openmetrics-text; version=", ";,;"]
)
async def test_whatever_is_asked_for_something_is_served(accept: str) -> None:
    async with serving(meters=[Fixed(everything())]) as site:
        answer = await site.get("/metrics", Accept=accept)

    assert answer.status == 200
    assert b"job_monitor_build_info" in answer.body


async def test_numbers_are_those_of_the_moment() -> None:
    async with serving() as site:
        await site.calls_back({"job_instance_id": 7})
        page = Page([site.callbacks])
        once = values(page.written("")[0].decode())
        await site.calls_back({"job_instance_id": 7})
        twice = values(page.written("")[0].decode())

    key = "callbacks_total", "unknown"
    assert (once[key], twice[key]) == (1, 2)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer secret", 200),
        ("bearer  secret", 200),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Basic secret", 401),
        ("", 401),
    ],
)
async def test_with_a_token_only_its_bearer_sees_them(
    authorization: str, status: int
) -> None:
    async with serving(token="secret", callback_token="other") as site:
        answer = await site.get("/metrics", Authorization=authorization)
        challenge = answer.headers.get("www-authenticate")

    assert answer.status == status
    assert challenge == (None if status == 200 else "Bearer")


async def test_health_needs_no_token() -> None:
    async with serving(token="secret") as site:
        answers = [await site.get(path) for path in ("/livez", "/readyz")]

    assert [answer.status for answer in answers] == [200, 200]


def test_what_never_happened_is_zero_and_not_absent() -> None:
    found = values(written([*metering.calls("prod", {}), *metering.saved("prod", {})]))

    assert found["api_requests_total", "prod", "logs", "throttled"] == 0
    assert found["api_requests_saved_total", "prod", "sweep"] == 0
    assert set(found.values()) == {0}


def test_all_that_may_happen_is_counted_from_the_start() -> None:
    found = values(
        written([*metering.recorded({}), *metering.held({}), *metering.suppressed({})])
    )

    assert found["transitions_total", "bkjob.source.lost"] == 0
    assert found["alerts", "hosts_failed", "critical"] == 0
    assert found["notifications_suppressed_total", "inhibited"] == 0
    assert set(found.values()) == {0}


def test_a_call_that_nobody_foresaw_is_counted_too() -> None:
    found = values(written(metering.calls("prod", {("new", "ok"): 1})))

    assert found["api_requests_total", "prod", "new", "ok"] == 1


def test_a_histogram_is_cumulative_and_a_bound_belongs_to_its_bucket() -> None:
    found = values(written(everything()))

    assert found["poll_lateness_seconds_bucket", "prod", "0.005"] == 2
    assert found["poll_lateness_seconds_bucket", "prod", "0.5"] == 3
    assert found["poll_lateness_seconds_bucket", "prod", "300.0"] == 3
    assert found["poll_lateness_seconds_bucket", "prod", "+Inf"] == 4
    assert found["poll_lateness_seconds_count", "prod"] == 4
    assert found["poll_lateness_seconds_sum", "prod"] == 1000.305


def test_a_source_without_a_limit_has_endless_tokens() -> None:
    found = values(written(metering.tokens("prod", float("inf"))))

    assert found["api_budget_tokens", "prod"] == float("inf")


def test_every_metric_is_documented_as_it_is() -> None:
    families = {family.name: family for family in families_of(written(everything()))}
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCUMENTED, re.MULTILINE
    )

    assert len(families) == len(metering.METRICS)
    assert rows == [
        (
            f"{PREFIX}{metric.name}",
            families[f"{PREFIX}{metric.name}".removesuffix("_total")].type,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help.removesuffix("."),
        )
        for metric in metering.METRICS
    ]


def test_every_known_value_of_a_label_is_documented() -> None:
    known: tuple[Iterable[str], ...] = (
        metering.ENDPOINTS,
        metering.RESULTS,
        metering.SAVERS,
        metering.TAKEN,
        metering.REASONS,
        metering.TYPES,
        WhyNot,
        *metering.HELD,
    )

    missing = [v for each in known for v in each if f"`{v}`" not in DOCUMENTED]
    assert missing == []


def test_no_label_names_an_instance_or_an_address() -> None:
    labels = {label for metric in metering.METRICS for label in metric.labels}

    assert labels == set(LABELS)


def test_promtool_finds_nothing_to_complain_of() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: the format is only parsed here")

    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=written(everything()),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
