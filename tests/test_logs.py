import errno
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from monitor import errors, logs
from monitor.sinks.log.sink import LogSink
from tests.sinks.messages import an_event


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A place to log to; everything that ``configure`` touches is put back."""
    root, hook, shown = logging.getLogger(), sys.excepthook, warnings.showwarning
    before, level, protected = root.handlers[:], root.level, logs._protected[:]
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    warnings.showwarning = shown
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    logs._protected[:] = protected
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_time_in_utc_where_there_is_no_terminal(
    stream: io.StringIO,
) -> None:
    logs.configure("auto", "info", stream=stream)

    structlog.get_logger().info("visit.done", key="prod/biz/2/1", count=3)

    [line] = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "key", "count"]
    assert str(line["timestamp"]).endswith("Z")
    assert list(line.values())[1:] == ["info", "visit.done", "prod/biz/2/1", 3]


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize(("colour", "coloured"), [(True, True), (False, False)])
def test_a_terminal_gets_columns_and_colour_unless_it_is_forbidden(
    *, colour: bool, coloured: bool
) -> None:
    terminal = Terminal()
    logs.configure("auto", "info", stream=terminal, colour=colour)

    structlog.get_logger().info("visit.done", key="k")

    assert "visit.done" in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) is coloured


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize("format_", ["json", "console"])
def test_to_the_journal_each_line_begins_with_its_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: logs.Format
) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.configure(format_, "debug", stream=journal)
        for level in ("debug", "info", "warning", "error", "critical"):
            structlog.get_logger().log(getattr(logging, level.upper()), "said")
        logging.getLogger("library").warning("said")
        journal.seek(0)
        said = journal.read().splitlines()

    assert [line[:3] for line in said] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<4>"]


def test_who_inherited_the_name_of_a_journal_but_writes_elsewhere_has_no_priority(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    logs.configure("json", "info", stream=stream)

    structlog.get_logger().warning("said")

    assert [line["event"] for line in lines(stream)] == ["said"]


def test_columns_without_a_terminal_have_no_colour(stream: io.StringIO) -> None:
    logs.configure("console", "info", stream=stream)

    structlog.get_logger().warning("source.lost", source="prod", cause="auth")

    assert stream.getvalue().rstrip().endswith("source=prod cause=auth")
    assert "\x1b" not in stream.getvalue()


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    logs.configure("json", "warning", stream=stream)

    structlog.get_logger().info("visit.done")

    assert stream.getvalue() == ""


def test_libraries_speak_from_warning_upwards(stream: io.StringIO) -> None:
    logs.configure("json", "debug", stream=stream)

    logging.getLogger("aiohttp").info("connected")
    logging.getLogger("aiohttp").warning("closed %s", "badly")

    [line] = lines(stream)
    assert (line["event"], line["logger"]) == ("closed badly", "aiohttp")
    assert line["level"] == "warning"


def test_a_value_under_a_name_that_looks_secret_is_hidden(
    stream: io.StringIO,
) -> None:
    logs.configure("json", "info", stream=stream)

    structlog.get_logger().info(
        "x",
        app_secret="canary",
        token=7,
        access_token=None,
        token_file="/run/token",
        headers={"Authorization": ["canary"], "Accept": "json"},
    )

    [line] = lines(stream)
    assert line["app_secret"] == line["token"] == logs.HIDDEN
    assert line["access_token"] is None
    assert line["token_file"] == "/run/token"
    assert line["headers"] == {"Authorization": logs.HIDDEN, "Accept": "json"}


@pytest.mark.parametrize("shape", ["json", "console"])
def test_a_protected_value_is_hidden_wherever_it_occurs(
    shape: logs.Format, stream: io.StringIO
) -> None:
    logs.configure(shape, "info", stream=stream)
    logs.protect(['can"ary/1', "canary"])

    log = structlog.get_logger()
    log.info("to canary", url="/?s=can%22ary%2F1", body='{"s": "can\\"ary/1"}')
    log.info("x", nested=[{"canary": {"a": ("canary",)}}], other=ValueError("canary"))
    logging.getLogger("asyncio").error("for %s", "canary")

    assert stream.getvalue().count(logs.HIDDEN) == 7
    assert "can" not in stream.getvalue()


def test_a_short_value_is_not_protected_since_it_would_blot_out_the_rest(
    stream: io.StringIO,
) -> None:
    logs.configure("json", "info", stream=stream)
    logs.protect(["", "a", "abc"])

    structlog.get_logger().info("abacus")

    assert lines(stream)[0]["event"] == "abacus"


@pytest.mark.parametrize("shape", ["json", "console"])
def test_a_traceback_shows_neither_secrets_nor_local_variables(
    shape: logs.Format, stream: io.StringIO
) -> None:
    logs.configure(shape, "info", stream=stream)
    logs.protect(["canary"])

    def refuse(secret: str) -> None:
        local = str(1001 * 12345)
        raise ValueError(f"refused {secret}", len(local))

    try:
        refuse("canary")
    except ValueError:
        structlog.get_logger().exception("visit.failed")
        logging.getLogger("asyncio").exception("task failed")

    written = stream.getvalue()
    assert written.count(f"ValueError: ('refused {logs.HIDDEN}', 8)") == 2
    assert written.count("Traceback") == 2
    assert "canary" not in written
    assert str(1001 * 12345) not in written


def test_text_from_elsewhere_cannot_forge_lines_or_move_the_cursor(
    stream: io.StringIO,
) -> None:
    logs.configure("console", "info", stream=stream)

    structlog.get_logger().info("x\ny", name="\x1b[2J\u202e\x9b")

    assert len(stream.getvalue().splitlines()) == 1
    assert "\\u001b[2J\\u202e\\u009b" in stream.getvalue()


def test_whatever_is_logged_can_be_written_and_is_bounded(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream=stream)
    deep: list[object] = []
    deep.append(deep)

    structlog.get_logger().info(
        "x", a=2**80, b=float("nan"), c=object, d="\ud800", e="x" * 100_000, f=deep
    )

    [line] = lines(stream)
    assert (line["a"], line["b"], line["d"]) == (str(2**80), "nan", "\\ud800")
    assert len(str(line["e"])) == logs.LONGEST + 1
    assert "…" in str(line["f"])


def test_a_crash_is_one_line_without_the_secret() -> None:
    crash = """
        from monitor import logs
        logs.configure("json", "error")
        logs.protect(["can" + "ary"])
        raise ValueError("can" + "ary")
    """

    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(crash)],
        capture_output=True,
        text=True,
        check=False,
    )

    [line] = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert json.loads(line)["event"] == "crashed"
    assert "canary" not in line


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("stream")
async def test_a_full_disk_loses_lines_but_no_message_and_stops_nobody() -> None:
    logs.configure("json", "info", stream=Full())
    structlog.get_logger().warning("visit.failed")

    with pytest.raises(errors.Undelivered, match="disk full"):
        await LogSink("journal").deliver(an_event())
