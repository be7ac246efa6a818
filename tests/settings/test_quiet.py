"""Silences and maintenance as they are written."""

import re
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from monitor import wiring
from monitor.core.quiet import Daily, Origin
from monitor.logs import HIDDEN
from monitor.settings import effective
from tests.settings.written import SOURCE, faults, loaded

SILENCE = """
silences:
  - {match: ['team="dba"'], until: "2026-12-01T08:00+08:00", author: alice}
"""
WINDOW = """
maintenance:
  - {name: nightly, match: ['team="dba"'], days: [mon, sun], from: "22:00", to: 06:00, timezone: Asia/Shanghai}
"""


def test_a_silence_is_read_with_its_end_in_utc(tmp_path: Path) -> None:
    [silence] = wiring.silences(loaded(tmp_path, SOURCE + SILENCE))

    assert silence.ends_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert (silence.id, silence.author) == ("silences[0]", "alice")
    assert silence.origin is Origin.FILE


def test_a_window_is_read_with_its_days_and_its_zone(tmp_path: Path) -> None:
    [window] = wiring.maintenance(loaded(tmp_path, SOURCE + WINDOW))

    assert window.daily == Daily(
        start=time(22),
        end=time(6),
        days=frozenset({0, 6}),
        timezone="Asia/Shanghai",
    )


def test_what_the_page_writes_can_be_written(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "quiet.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)

    settings = loaded(tmp_path, SOURCE + "".join(blocks))

    assert [s.author for s in settings.silences] == ["alice"]
    assert [one.name for one in settings.maintenance] == ["nightly"]


def test_what_is_in_effect_can_be_read_again(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SOURCE + SILENCE + WINDOW)

    shown = effective.text(settings).replace(HIDDEN, "0123canary")

    assert loaded(tmp_path, shown) == settings


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (SILENCE.replace("+08:00", ""), "is no moment: write it like"),
        (
            SILENCE.replace("2026-12-01T08:00+08:00", "9999-12-31T23:59:59-08:00"),
            "outside the years",
        ),
        (
            WINDOW.replace("days:", 'starts_at: "9999-12-31T23:00Z", days:'),
            "begin before 9999",
        ),
        (SILENCE.replace("until:", "ends:"), "until"),
        (SILENCE.replace("team=", "team"), "is no matcher"),
        (SILENCE.replace("['team=\"dba\"']", "[]"), "silences"),
        (
            SILENCE.replace("until:", 'from: "2026-12-02T08:00+08:00", until:'),
            "before it begins",
        ),
        (WINDOW.replace("22:00", "24:00"), "is no time: write it like"),
        (WINDOW.replace("Asia/Shanghai", "Asia/Nowhere"), "is no time zone"),
        (WINDOW.replace("mon", "monday"), "mon"),
        (WINDOW.replace("[mon, sun]", "[]"), "at least one"),
        (WINDOW + WINDOW.replace("maintenance:\n", ""), "are named 'nightly'"),
    ],
)
def test_what_is_written_wrongly_is_said_with_its_place(
    tmp_path: Path, written: str, complaint: str
) -> None:
    found = faults(tmp_path, SOURCE + written)

    assert any(complaint in fault for fault in found), found
    assert all("monitor.yaml:" in fault for fault in found)
