"""The install script, run as an operator runs it, below a directory of the test's."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parents[2] / "deploy" / "install.sh"
PREFIX: Final = "/srv/job-monitor"
SECRET: Final = "MONITOR_SOURCES__PROD__APP_SECRET_FILE"
OFFLINE: Final = ("No matching distribution", "Could not find", "ConnectionError")
NOBODY: Final = 65534

pytestmark = pytest.mark.timeout(300)

Ran = subprocess.CompletedProcess[str]


def environ(**more: str) -> dict[str, str]:
    """Give what a shell would have: nothing of the tests', and quick packages."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, "PIP_NO_COMPILE": "1", "PYTHON": sys.executable, **more}


def run(*command: str, **more: str) -> Ran:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ(**more)
    )


def install(*arguments: str, **more: str) -> Ran:
    return run("sh", str(SCRIPT), *arguments, **more)


@dataclass(frozen=True)
class Host:
    root: Path
    installed: Ran

    @property
    def home(self) -> Path:
        return self.root / PREFIX.lstrip("/")

    @property
    def etc(self) -> Path:
        return self.root / "etc/job-monitor"

    @property
    def package(self) -> Path:
        [package] = self.home.glob("lib/python3.*/site-packages/monitor")
        return package

    def job_monitor(self, *arguments: str, **more: str) -> Ran:
        return run(str(self.home / "bin/job-monitor"), *arguments, **more)

    def check(self, **more: str) -> Ran:
        return self.job_monitor("check", "--config", f"{self.etc}/monitor.yaml", **more)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    root = tmp_path_factory.mktemp("host")
    ran = install("--root", str(root), "--prefix", PREFIX)
    if ran.returncode and any(sign in ran.stderr for sign in OFFLINE):
        pytest.skip(f"packages cannot be had here: {ran.stderr[-200:]}")
    return Host(root, ran)


def test_shellcheck_has_nothing_to_say() -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("no shellcheck here; it is a package of Debian")

    checked = run(program, "-s", "sh", str(SCRIPT))
    assert (checked.stdout, checked.returncode) == ("", 0)


def test_what_it_installs_runs_without_the_checkout(host: Host) -> None:
    assert host.installed.returncode == 0, host.installed.stderr
    assert host.job_monitor("version").stdout.startswith("job-monitor ")
    assert (host.package / "service.py").exists()
    assert (host.home / "share/job-monitor/monitor.example.yaml").exists()


def test_without_systemd_it_installs_and_says_that_nothing_was_started(
    host: Host,
) -> None:
    assert "nothing was started" in host.installed.stdout
    assert "systemctl enable --now job-monitor" in host.installed.stdout


@pytest.mark.parametrize("name", ["job-monitor.service", "job-monitor@.service"])
def test_a_unit_starts_what_was_installed(host: Host, name: str) -> None:
    unit = (host.root / "usr/local/lib/systemd/system" / name).read_text()

    assert f"ExecStart={PREFIX}/bin/job-monitor run" in unit
    assert "/opt/job-monitor" not in unit


def test_of_the_first_configuration_the_secret_alone_is_missing(host: Host) -> None:
    fresh = host.check()
    secret = host.etc / "secrets/app_secret"
    empty = host.check(**{SECRET: str(secret)})
    secret.write_text("a secret\n")
    filled = host.check(**{SECRET: str(secret)})

    assert (fresh.returncode, fresh.stderr.count("\n")) == (78, 1)
    assert "/run/credentials/job-monitor.service/app_secret" in fresh.stderr
    assert "is empty" in empty.stderr
    assert filled.returncode == 0, filled.stderr


def test_everybody_may_read_the_configuration_and_root_alone_the_secrets(
    host: Host,
) -> None:
    modes = [(host.etc / name).stat().st_mode & 0o777 for name in ("", "monitor.yaml")]

    assert modes == [0o755, 0o644]
    assert (host.etc / "secrets").stat().st_mode & 0o777 == 0o700
    assert (host.etc / "secrets/app_secret").stat().st_mode & 0o777 == 0o600


def test_a_second_run_renews_the_program_and_keeps_what_the_operator_wrote(
    host: Host,
) -> None:
    config, watch_list = host.etc / "monitor.yaml", host.etc / "watchlist.txt"
    config.write_text("sources: {}\n")
    watch_list.write_text("2/20000153\n")
    (host.package / "service.py").write_text("raise SystemExit(9)\n")

    again = install("--root", str(host.root), "--prefix", PREFIX)

    assert again.returncode == 0, again.stderr
    assert "async def serve" in (host.package / "service.py").read_text()
    assert config.read_text() == "sources: {}\n"
    assert watch_list.read_text() == "2/20000153\n"


@pytest.mark.parametrize(
    ("arguments", "more", "remedy"),
    [
        (["--prefix"], {}, "--prefix needs a directory"),
        (["--prefix", "opt"], {}, "must be an absolute path"),
        (["--prefix", "/opt/a b"], {}, "letters, digits"),
        (["--prefix", "/opt/$(id)"], {}, "letters, digits"),
        (["--nostart"], {}, "--nostart is unknown; --help"),
        (["--root", "/nowhere"], {"PYTHON": "/bin/false"}, "it does not run"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(
    arguments: list[str], more: dict[str, str], remedy: str
) -> None:
    ran = install(*arguments, **more)

    assert ran.returncode == 1
    assert remedy in ran.stderr


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/precious").write_text("")

    ran = install("--root", str(tmp_path), "--prefix", "/usr")

    assert ran.returncode == 1
    assert "give --prefix a directory of its own" in ran.stderr
    assert [found.name for found in tmp_path.iterdir()] == ["usr"]


def test_only_root_installs_a_service() -> None:
    ran = subprocess.run(
        ["/bin/sh", "-s"],  # nobody may not be able to read the script
        input=SCRIPT.read_text(),
        user=NOBODY if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    assert ran.returncode == 1
    assert "sudo sh" in ran.stderr
