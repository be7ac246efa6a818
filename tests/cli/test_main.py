import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from monitor import errors
from monitor.cli import main
from monitor.cli.main import app

EXITS = [
    (errors.Misconfigured("a:1: b", "a:2: c"), 78, "a:1: b\na:2: c\n"),
    (errors.Refused(), 4, "Error: The source refuses our credentials"),
    (errors.Forbidden("no scope"), 4, "Error: no scope\n"),
    (errors.Unavailable("no answer"), 5, "Error: no answer\n"),
    (errors.Throttled("slower"), 5, "Error: slower\n"),
    (errors.Missing("no such"), 6, "Error: no such\n"),
    (errors.StoreError("disk full"), 1, "Error: disk full\n"),
    (
        ExceptionGroup("tasks", [ExceptionGroup("", [errors.StoreError("full")])]),
        1,
        "Error: full\n",
    ),
    (KeyboardInterrupt(), 130, ""),
]


def raising(error: BaseException) -> typer.Typer:
    failing = typer.Typer(cls=main.Verbs)

    @failing.callback(invoke_without_command=True)
    def _fail() -> None:
        raise error

    return failing


@pytest.mark.parametrize(
    ("error", "code", "said"), EXITS, ids=lambda value: type(value).__name__
)
def test_an_expected_error_is_an_exit_code_and_a_sentence(
    error: BaseException, code: int, said: str
) -> None:
    result = CliRunner().invoke(raising(error), [])

    assert result.exit_code == code
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "error",
    [ValueError("bug"), ExceptionGroup("", [ValueError(), errors.StoreError()])],
)
def test_a_bug_is_not_hidden(error: Exception) -> None:
    assert CliRunner().invoke(raising(error), []).exception is error


def test_help_names_every_verb_with_its_sentence_and_examples() -> None:
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    width = max(map(len, main.VERBS))
    for verb, sentence in main.VERBS.items():
        assert f"  {verb:{width}}  {sentence}" in result.stdout
    assert "job-monitor wait prod/2/20000153" in result.stdout
    assert "78 configuration refused" in result.stdout


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "-h"])

    assert result.exit_code == 0
    assert f"{verb} [OPTIONS]" in result.stdout


@pytest.mark.parametrize("args", [["--nonsense"], ["versio"], ["version", "x"], []])
def test_wrong_usage_ends_with_2(args: list[str]) -> None:
    assert CliRunner().invoke(app, args).exit_code == 2


def test_a_misspelt_verb_names_the_nearest() -> None:
    assert "'version'" in CliRunner().invoke(app, ["versio"]).stderr


def test_the_version_is_printed_for_people_and_for_programs() -> None:
    plain = CliRunner().invoke(app, ["version"]).stdout
    encoded = json.loads(CliRunner().invoke(app, ["version", "-o", "json"]).stdout)

    assert plain == f"job-monitor {encoded['version']}\n"
    assert encoded["name"] == "job-monitor"


def test_the_process_ends_with_78_without_colour_or_traceback(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "monitor", "check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )

    assert ended.returncode == 78
    assert ended.stderr.startswith("monitor.yaml: no such file; write one")
    assert "\x1b" not in ended.stderr
    assert ended.stdout == ""


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys; from monitor.cli.main import app\n"
        "for args in (['--help'], ['version']):\n"
        "    try: app(args)\n"
        "    except SystemExit: pass\n"
        "heavy = {'aiohttp', 'pydantic_settings', 'sqlalchemy', 'structlog', 'anyio', 'rich'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_an_event_loop_runs_where_standard_streams_are_missing(closed: str) -> None:
    script = (
        "import sys; from monitor.cli import streams; streams.fill()\n"
        "import anyio; from anyio import sleep\n"
        "anyio.run(sleep, 0, backend_options={'use_uvloop': True})\n"
        "print(sys.stdin.read()); print(file=sys.stderr)"
    )

    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr.strip()) == (0, "")


def test_told_to_reload_while_it_starts_the_daemon_starts_all_the_same() -> None:
    script = (
        "import os, signal, sys\n"
        "class Reload:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'monitor.service': os.kill(os.getpid(), signal.SIGHUP)\n"
        "sys.meta_path.insert(0, Reload())\n"
        "from monitor.cli.main import app\n"
        "app(['run', '--config', 'nowhere.yaml'])"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 78
    assert ended.stderr.startswith("nowhere.yaml: cannot be read")
