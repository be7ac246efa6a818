"""What pages want to be alerted on is what the daemon counts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from monitor import metering
from monitor.metering import Metric
from tests.docs import pages

COUNTED = {each.name for each in vars(metering).values() if isinstance(each, Metric)}


def test_every_metric_that_a_page_names_is_counted() -> None:
    named = {
        name.removesuffix("_bucket")
        for page in pages.PAGES
        for name in re.findall(
            r"\bjob_monitor_([a-z_]+[a-z])", page.read_text(encoding="utf-8")
        )
    }

    assert named - {"file"} <= COUNTED  # job_monitor_file: the module of an example


def test_the_rules_are_taken_by_prometheus(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    [rules] = [
        block.text
        for block in pages.blocks(pages.ROOT / "docs" / "operations.md")
        if block.text.startswith("groups:")
    ]
    (tmp_path / "rules.yml").write_text(rules)

    checked = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
