"""Programs of the operator's: real processes."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter, ValidationError

from monitor import clock, errors
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from tests.e2e.waiting import until
from tests.sinks.messages import a_notification, an_event

# Processes would be outrun by virtual time.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

HOSTILE = "$(touch /tmp/pwned) `id` ; rm -rf / \x1b[2J"


def config(command: Any, **more: Any) -> SinkConfig:
    given = {"name": "pager", "kind": "exec", "command": command, **more}
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(given)


def opened(command: Any, **more: Any) -> Any:
    return catalogue.opened(config(command, **more), now=clock.utc_now)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def exiting(code: int, said: str = "") -> list[str]:
    return python(f"import sys; print({said!r}); sys.exit({code})")


async def refusal(command: list[str], **more: Any) -> errors.SinkError:
    async with opened(command, **more) as sink:
        with pytest.raises(errors.SinkError) as refused:
            await sink.deliver(an_event())
    return refused.value


async def test_the_message_is_the_standard_input_and_nowhere_else(
    tmp_path: Path,
) -> None:
    message = a_notification(summary=HOSTILE, labels={"team": HOSTILE})
    code = (
        "import json, os, sys; json.dump({'argv': sys.argv[1:], 'env': dict(os.environ),"
        " 'cwd': os.getcwd(), 'stdin': sys.stdin.read()}, open(sys.argv[1], 'w'))"
    )
    seen = tmp_path / "seen"
    async with opened(
        python(code, str(seen), "$HOME;"), environment={"TOKEN": "t0ken"}
    ) as sink:
        await sink.deliver(message)

    found = json.loads(seen.read_text())
    assert found["stdin"].encode() == message.cloudevent() + b"\n"
    assert found["argv"] == [str(seen), "$HOME;"]
    assert found["cwd"] == "/"
    found["env"].pop("LC_CTYPE", None)  # Python's own
    assert found["env"].pop("PATH").startswith("/usr/local/sbin:")
    assert found["env"] == {
        "LANG": "C.UTF-8",
        "TOKEN": "t0ken",
        "JOB_MONITOR_SINK": "pager",
        "JOB_MONITOR_TYPE": "bkjob.notification",
    }


@pytest.mark.parametrize("code", [1, 2, 75, 126])
async def test_a_program_that_fails_is_tried_again_with_what_it_said(code: int) -> None:
    error = await refusal(exiting(code, "no \x1b[2Jnetwork"))

    assert isinstance(error, errors.Undelivered)
    assert f"ended with {code}: no \\u001b[2Jnetwork" in str(error)


async def test_exit_code_65_says_that_it_will_never_take_this_message() -> None:
    error = await refusal(exiting(65, "what is this?"))

    assert isinstance(error, errors.Rejected)


async def test_a_program_that_is_killed_is_tried_again() -> None:
    error = await refusal(python("import os; os.kill(os.getpid(), 9)"))

    assert isinstance(error, errors.Undelivered)
    assert "was ended by signal 9" in str(error)


async def test_a_program_need_not_read_what_it_is_given() -> None:
    async with opened(["true"]) as sink:
        await sink.deliver(a_notification(summary="x" * 1_000_000))


async def test_what_a_program_says_is_bounded_and_its_secrets_are_blotted_out() -> None:
    code = "import os; print(os.environ['TOKEN']); print('x' * 9_000_000); exit(1)"
    error = await refusal(python(code), environment={"TOKEN": "s3cret-t0ken"})

    assert "***" in str(error)
    assert "s3cret" not in str(error)
    assert len(str(error)) < 400


async def test_a_program_that_hangs_is_ended_with_all_that_it_has_started(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: open(sys.argv[1], 'w').write(f'{os.getpid()} {child}')\n"
        "time.sleep(600)"
    )
    error = await refusal(python(code, str(pids)), timeout="1s")

    assert "had not ended after 1s" in str(error)
    await until(
        lambda: not any(alive(int(pid)) for pid in pids.read_text().split()),
        "both have ended",
    )


async def test_what_a_program_leaves_behind_is_ended_and_holds_nothing_up(
    tmp_path: Path,
) -> None:
    left = tmp_path / "left"
    async with opened(["sh", "-c", f"sleep 600 & echo $! > {left}"]) as sink:
        with anyio.fail_after(10):
            await sink.deliver(an_event())

    await until(lambda: not alive(int(left.read_text())), "it has ended")


async def test_who_leaves_the_session_but_keeps_the_pipe_holds_nothing_up() -> None:
    async with opened(["setsid", "-f", "sleep", "3"]) as sink:
        with anyio.fail_after(2.5):
            await sink.deliver(an_event())


async def test_a_delivery_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = ["sh", "-c", f"echo $$ > {started}; exec sleep 600"]
    async with opened(command) as sink, anyio.create_task_group() as tasks:
        tasks.start_soon(sink.deliver, an_event())
        await until(lambda: started.exists() and bool(started.read_text()), "started")
        tasks.cancel_scope.cancel()

    assert not alive(int(started.read_text()))


async def test_few_run_at_once(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; mine = f'{sys.argv[1]}/{os.getpid()}'; open(mine, 'w')\n"
        "print(len(os.listdir(sys.argv[1])), file=open(sys.argv[2], 'a'))\n"
        "time.sleep(0.1); os.unlink(mine)"
    )
    (running := tmp_path / "running").mkdir()
    counts = tmp_path / "counts"
    async with (
        opened(python(code, str(running), str(counts)), at_once=2) as sink,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(6):
            tasks.start_soon(sink.deliver, an_event())

    assert max(map(int, counts.read_text().split())) == 2


async def test_a_program_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    program = tmp_path / "page"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    async with opened([str(program)]) as sink:
        program.unlink()
        with pytest.raises(errors.Undelivered, match="page cannot be started: No such"):
            await sink.deliver(an_event())


@pytest.mark.parametrize("command", [["/nowhere/page"], ["no-such-program-here"]])
async def test_a_program_that_is_not_there_is_a_misconfiguration(
    command: list[str],
) -> None:
    with pytest.raises(errors.Misconfigured, match="write its whole path"):
        async with opened(command):
            pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"command": "page --now"}, "must be a list, as no shell reads it"),
        ({"command": []}, "at least 1 item"),
        ({"command": [""]}, "is the program"),
        ({"command": ["a\0b"]}, "NUL"),
        ({"command": ["x"], "environment": {"A B": "c"}}, "cannot name a variable"),
        ({"command": ["x"], "environment": {"JOB_MONITOR_X": "c"}}, "ours to set"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**given)


async def test_more_of_the_environment_may_stand_in_a_file(tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    variables.write_text("# for the pager\nTOKEN=from the file\n\n")
    command = ["sh", "-c", f'printf %s "$TOKEN" > {tmp_path}/seen']
    async with opened(command, environment_file=variables) as sink:
        await sink.deliver(an_event())

    assert (tmp_path / "seen").read_text() == "from the file"


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has asked after is over too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
