"""The units of systemd, as systemd itself judges them."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from monitor.web import unix

UNITS: Final = Path(__file__).parents[2] / "systemd"
NAMES: Final = ("job-monitor.service", "job-monitor@.service")
DROP_IN: Final = UNITS / "job-monitor.service.d" / "notify-reload.conf"
PROGRAM: Final = "/opt/job-monitor/bin/job-monitor"

EXPOSED_AT_MOST: Final = 1.5
"""Of ten. A service that nobody has hardened has 9 and more."""

OWN: Final = {
    "Description",
    "ExecStart",
    "Environment",
    "RuntimeDirectory",
    "StateDirectory",
    "User",
    "WorkingDirectory",
}
"""What an instance has for itself."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here; it comes with systemd")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False
    )


def a_copy(name: str, directory: Path, more: str = "") -> str:
    """Copy a unit that starts a program which this machine has."""
    text = (UNITS / name).read_text()
    assert PROGRAM in text
    copy = directory / name
    copy.write_text(
        text.replace(PROGRAM, "/bin/true").replace("[Install]", f"{more}[Install]")
    )
    return str(copy)


def settings(name: str) -> dict[str, list[str]]:
    found = defaultdict(list)
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return dict(found)


def version() -> int:
    found = re.search(r"systemd (\d+)", analyze("--version").stdout)
    assert found
    return int(found[1])


@pytest.mark.parametrize("name", NAMES)
def test_systemd_has_nothing_to_say_about_a_unit(name: str, tmp_path: Path) -> None:
    verified = analyze("verify", "--man=no", a_copy(name, tmp_path))

    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


def test_systemd_would_say_if_a_key_were_misspelt(tmp_path: Path) -> None:
    unit = a_copy(NAMES[0], tmp_path, "ProtectHoem=yes\n")

    assert "ProtectHoem" in analyze("verify", "--man=no", unit).stderr


def test_systemd_has_nothing_to_say_about_the_drop_in(tmp_path: Path) -> None:
    if version() < 254:
        pytest.skip("this systemd is older than 254, for which the drop-in is")
    directory = tmp_path / "job-monitor.service.d"
    directory.mkdir()
    shutil.copy(DROP_IN, directory)
    verified = analyze("verify", "--man=no", a_copy(NAMES[0], tmp_path))

    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_leaves_little_exposed(name: str, tmp_path: Path) -> None:
    unit = a_copy(name, tmp_path)
    said = analyze("security", "--offline=true", "--no-pager", unit).stdout
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said)

    assert level, said
    assert float(level[1]) <= EXPOSED_AT_MOST


def test_both_units_are_alike_but_for_what_an_instance_has_for_itself() -> None:
    one, many = (settings(name) for name in NAMES)
    keys = one.keys() | many.keys()

    assert {key for key in keys if one.get(key) != many.get(key)} == OWN


def test_the_command_line_looks_for_the_socket_where_the_unit_has_it() -> None:
    [directory] = settings(NAMES[0])["RuntimeDirectory"]

    assert Path("/run") / directory / unix.NAME == unix.SYSTEM


def test_what_was_refused_is_not_tried_again() -> None:
    for name in NAMES:
        assert settings(name)["RestartPreventExitStatus"] == ["78"]
