"""Alert rules and the dashboard: promtool and a real Prometheus take them as they are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml

from monitor import metering
from monitor.simulator import entry
from monitor.simulator.server import serving
from monitor.web.metrics import PREFIX
from tests.e2e.daemon import running
from tests.e2e.site import Site
from tests.e2e.theatre import Stage
from tests.support import ports
from tests.support.prometheuses import prometheus, promtool

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus" / "job-monitor.rules.yml"
RULES_TEST: Final = RULES.with_name("job-monitor.rules.test.yml")
DASHBOARD: Final = DEPLOY / "grafana" / "job-monitor.json"

VARIABLES: Final = {"$__rate_interval": "5m", "$instance": "x", "$source": "x"}
PARTS: Final = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def drawn() -> Iterator[str]:
    """Give the expressions of all panels, with something for each variable."""
    for panel in panels():
        for target in panel["targets"]:
            yield re.sub(r"\$\w+", lambda m: VARIABLES.get(m[0], "x"), target["expr"])


def existing() -> set[str]:
    """Name every series that the daemon has, as Prometheus calls it."""
    return {
        f"{PREFIX}{metric.name}{part}"
        for metric in metering.METRICS
        for part in PARTS[metric.kind]
    }


def named(texts: Iterator[str]) -> set[str]:
    return {name for text in texts for name in re.findall(rf"{PREFIX}\w+", text)}


def test_the_rules_are_rules() -> None:
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert code == 0, said


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    code, said = promtool("test", "rules", str(RULES_TEST))

    assert code == 0, said


def test_each_alert_is_tried_silent_and_firing() -> None:
    tried = [
        (each["alertname"], bool(each["exp_alerts"]))
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for each in test["alert_rule_test"]
    ]

    assert sorted(tried) == sorted(
        (rule["alert"], fires) for rule in rules() for fires in (False, True)
    )


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "remedy"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]


@pytest.mark.parametrize("where", ["rules", "dashboard"])
def test_every_metric_that_is_named_exists(where: str) -> None:
    texts = (rule["expr"] for rule in rules()) if where == "rules" else drawn()

    assert named(texts) - existing() == set()


def test_the_dashboard_shows_every_metric() -> None:
    shown = named(drawn())

    hidden = [
        metric.name
        for metric in metering.METRICS
        if not shown & {f"{PREFIX}{metric.name}{part}" for part in PARTS[metric.kind]}
    ]
    assert hidden == []


def test_the_dashboard_takes_any_data_source() -> None:
    variables = [each["name"] for each in dashboard()["templating"]["list"]]
    sources = {
        each["datasource"]["uid"]
        for panel in panels()
        for each in (panel, *panel["targets"])
    }

    assert sources == {"${datasource}"}
    assert variables[0] == "datasource"
    assert dashboard().get("id") is None


def test_the_dashboard_has_panels_that_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len(set(ids)) == len(ids)


def test_every_expression_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    recorded = [
        {"record": f"x:{number}", "expr": expr} for number, expr in enumerate(drawn())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": recorded}]}))

    code, said = promtool("check", "rules", str(file))

    assert code == 0, said


async def test_a_real_prometheus_scrapes_a_daemon_and_knows_what_it_counts(
    tmp_path: Path,
) -> None:
    stage = Stage()
    story = {"beat": 1, "scenario": "mixed_failure"}
    key = entry.enact(stage.world, entry.decoded(story))
    stage.now = 4  # hosts have failed, and the job has ended
    target = f"127.0.0.1:{ports.free()}"

    async with serving(stage.world) as stage.url:
        site = Site(tmp_path, stage.url, web={"listen": target})
        site.watch(key, "rubbish")
        with running(site.config) as daemon:
            await daemon.says("bkjob.notification")
            async with prometheus(tmp_path, target, RULES) as found:
                held = await found.finds("job_monitor_alerts > 0")
                [left_out] = await found.finds("job_monitor_quarantined_entries")
                await found.finds('ALERTS{alertname="JobMonitorQuarantinedEntries"}')
                answers = [await found.asked("query", query=expr) for expr in drawn()]
            text = await scraped(f"http://{target}/metrics")
            assert await daemon.stop() == 0

    assert {each["metric"]["name"] for each in held} >= {"hosts_failed", "job_failed"}
    assert left_out["value"][1] == "1"
    assert [each for each in answers if each["status"] != "success"] == []
    assert promtool("check", "metrics", given=text) == (0, "")
    assert existing() - names_of(text) == set()


async def scraped(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def names_of(text: str) -> set[str]:
    return set(re.findall(r"^(\w+)", text, re.MULTILINE))
