"""What shells complete: verbs, options, and keys of what a daemon watches."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.cli.house import KEY, at_work

ROOT = Path(__file__).parents[2]
BASH = """
eval "$(job-monitor --show-completion)"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_job_monitor_completion job-monitor
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "job-monitor --show-completion | source; complete -C '{words}'"
ZSH = """
compdef() {{ :; }}
eval "$(job-monitor --show-completion)"
_arguments() {{ print -r -- "$@"; }}
words=({words}); CURRENT=$#words; _job_monitor_completion
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a shell finds the command."""
    command = tmp_path / "bin" / "job-monitor"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m monitor "$@"\n')
    command.chmod(0o755)
    return f"{command.parent}:{os.environ['PATH']}"


def shell(name: str, script: str, path: str, **more: str) -> str:
    if not (found := shutil.which(name)):
        pytest.skip(f"there is no {name}")
    done = subprocess.run(
        [found, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **more},
    )
    assert done.stderr == ""
    return done.stdout


SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


@pytest.mark.parametrize(
    ("name", "words", "offered"),
    [
        ("bash", "job-monitor stat", "status"),
        ("bash", "job-monitor silence a", "add"),
        ("bash", "job-monitor ls --sort f", "failed"),
        ("fish", "job-monitor get --ho", "--hosts"),
        ("zsh", "job-monitor silence a", "add"),
    ],
)
def test_verbs_options_and_their_values_are_completed(
    name: str, words: str, offered: str, path: str
) -> None:
    assert offered in shell(name, SCRIPTS[name].format(words=words), path)


async def completed(words: str, path: str, **more: str) -> list[str]:
    script = BASH.format(words=words)
    found = await anyio.to_thread.run_sync(lambda: shell("bash", script, path, **more))
    return found.split()


async def test_keys_are_completed_as_short_as_they_were_begun(
    tmp_path: Path, path: str
) -> None:
    hang = {"scenario": "hang"}
    async with at_work(tmp_path, hang, hang) as house:
        there = {"MONITOR_SOCKET": str(house.socket)}
        short = await completed("job-monitor get 2/2000015", path, **there)
        scoped = await completed("job-monitor pause biz/2/20000153", path, **there)
        full = await completed("job-monitor wait prod/biz/2/20000153", path, **there)
        sourced = await completed("job-monitor rm prod/2/", path, **there)
        other = await completed("job-monitor events 3/", path, **there)

    assert sorted(short) == ["2/20000153", "2/20000154"]
    assert (scoped, full, other) == (["biz/2/20000153"], [KEY], [])
    assert sorted(sourced) == ["prod/2/20000153", "prod/2/20000154"]


async def test_without_a_daemon_nothing_is_offered_and_nothing_said(path: str) -> None:
    assert await completed("job-monitor get 2/", path, MONITOR_SOCKET="/nowhere") == []


async def test_a_daemon_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, path: str
) -> None:
    mute = tmp_path / "mute.sock"
    listener = await anyio.create_unix_listener(mute)
    async with listener:
        found = await completed("job-monitor get 2/", path, MONITOR_SOCKET=str(mute))

    assert found == []
