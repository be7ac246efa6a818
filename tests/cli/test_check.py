import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from monitor.cli.main import app

CONFIG = """\
sources:
  prod:
    api: esb-v2
    url: https://paas.example.com
    app_code: job-monitor
    app_secret: canary
    username: admin
watch_lists: [a.txt, b.csv]
"""
CSV = "bk_biz_id,job_instance_id,team\n2,7,sre\n2,9,sre\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "monitor.yaml").write_text(CONFIG)
    (tmp_path / "a.txt").write_text("2/7 team=sre\nprod/2/8\n")
    (tmp_path / "b.csv").write_text(CSV)
    return tmp_path


def checked(directory: Path, *more: str) -> Result:
    config = str(directory / "monitor.yaml")
    return CliRunner().invoke(app, ["check", "--config", config, *more])


def test_a_clean_configuration_ends_with_0_and_shows_what_is_in_effect(
    directory: Path,
) -> None:
    result = checked(directory)

    assert result.exit_code == 0
    shown = yaml.safe_load(result.stdout)
    assert shown["sources"]["prod"]["username"] == "admin"
    assert shown["polling"]["max_interval"] == "1m"
    assert result.stderr == (
        "watch lists: 3 watches in 2 files, 0 entries quarantined, 1 repeat ignored\n"
    )


def test_quarantined_entries_end_with_1_and_are_named(directory: Path) -> None:
    (directory / "a.txt").write_text("2/7\n2/x\n")

    result = checked(directory)

    assert result.exit_code == 1
    fault, summary = result.stderr.splitlines()
    assert fault.startswith(f"{directory}/a.txt:2:")
    assert fault.endswith("'x' is not a positive whole number")
    assert "2 watches in 2 files, 1 entry quarantined" in summary
    assert yaml.safe_load(result.stdout)["locale"] == "en"


def test_a_refused_configuration_ends_with_78_and_only_its_faults(
    directory: Path,
) -> None:
    (directory / "monitor.yaml").write_text(CONFIG + "locale: fr\npollng: {}\n")

    result = checked(directory)

    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr == (
        f"{directory}/monitor.yaml:9:1: locale: must be 'en' or 'zh-CN', not 'fr'\n"
        f"{directory}/monitor.yaml:10:1: pollng: unknown key 'pollng';"
        " did you mean 'polling'?\n"
    )


def test_a_plugin_that_is_not_installed_ends_with_78(directory: Path) -> None:
    sink = "{name: archive, kind: plugin, plugin: nowhere}"
    (directory / "monitor.yaml").write_text(f"{CONFIG}sinks: [{sink}]\n")

    result = checked(directory)

    assert result.exit_code == 78
    assert "sink archive: no plugin 'nowhere' is installed" in result.stderr


def test_no_secret_is_printed(directory: Path) -> None:
    assert "canary" in CONFIG
    for more in ([], ["-o", "json"]):
        result = checked(directory, *more)

        assert result.exit_code == 0
        assert "canary" not in result.output
        assert "********" in result.stdout


def test_programs_get_json(directory: Path) -> None:
    shown = json.loads(checked(directory, "-o", "json").stdout)

    assert shown["sources"]["prod"]["timeout"] == "30s"
    assert shown["watch_lists"] == [f"{directory}/a.txt", f"{directory}/b.csv"]


def test_variables_count_and_may_name_the_file(directory: Path) -> None:
    environ = {
        "MONITOR_CONFIG": str(directory / "monitor.yaml"),
        "MONITOR_LOCALE": "zh-CN",
    }

    result = CliRunner().invoke(app, ["check"], env=environ)

    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["locale"] == "zh-CN"


def test_thousands_are_counted_legibly(directory: Path) -> None:
    (directory / "a.txt").write_text("".join(f"2/{n}\n" for n in range(10, 1310)))

    assert "1,302 watches in 2 files" in checked(directory).stderr


def test_rules_are_counted_beside_the_watches(directory: Path) -> None:
    written = (directory / "monitor.yaml").read_text()
    (directory / "monitor.yaml").write_text(
        written.replace("esb-v2", "esb-v3").replace("b.csv", "b.yaml")
    )
    (directory / "b.yaml").write_text("discover: [{bk_biz_id: 2}]")

    result = checked(directory)

    assert result.exit_code == 0
    assert "2 watches and 1 rule in 2 files, 0 entries quarantined" in result.stderr


def test_a_rule_for_an_api_without_a_list_is_a_fault(directory: Path) -> None:
    written = (directory / "monitor.yaml").read_text()
    (directory / "monitor.yaml").write_text(written.replace("b.csv", "b.yaml"))
    (directory / "b.yaml").write_text("discover: [{bk_biz_id: 2}]")

    result = checked(directory)

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{directory}/b.yaml:1:12: source prod is esb-v2, which has no list to search",
        "watch lists: 2 watches and 1 rule in 2 files, 1 entry quarantined",
    ]
