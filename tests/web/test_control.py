"""The control API as a part of the daemon."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint
from structlog.testing import capture_logs

from monitor import errors
from monitor.web import unix
from monitor.web.control import serving
from tests.support import control
from tests.test_service import (
    FAILING,
    FINISHED,
    KEY,
    NO_SUCH_PLUGIN,
    Site,
    Stage,
    a_site,
    eventually,
    named,
    playing,
)

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature


@asynccontextmanager
async def a_failure(tmp_path: Path) -> AsyncIterator[tuple[Site, Stage, Path]]:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await stage.tells("hosts.failed")
            yield site, stage, tmp_path / "m.sock"


async def test_the_daemon_says_what_is_wrong_with_the_labels_of_the_watch(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        answer = await control.ask(socket, "GET", "/alerts?match=team%3Dsre")

    assert answer.status == 200
    [alert] = answer.body["items"]
    assert (alert["key"], alert["name"]) == (KEY, "hosts_failed")
    assert alert["labels"] == {"team": "sre"}


async def test_the_socket_is_the_owners_and_goes_with_the_daemon(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        mode = socket.stat().st_mode & 0o777

    assert mode == 0o600
    assert not socket.exists()


async def test_a_daemon_whose_socket_cannot_be_watches_all_the_same(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            site.more["store"] = f"sqlite:///{tmp_path}/{'m' * 120}.db"
            world.play("one_ip_fails")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")

    assert named(lines)["control.unavailable"] == 1


async def test_two_daemons_do_not_share_a_socket(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (site, _, socket):
        site.more["store"] = f"sqlite:///{tmp_path}/m.other"
        with pytest.RaisesGroup(
            pytest.RaisesExc(errors.Misconfigured, match="of another Job Monitor"),
            flatten_subgroups=True,
        ):
            await Stage(site).serve()
        site.more.clear()

        assert (await control.ask(socket, "GET", "/alerts")).status == 200


async def test_a_reload_that_changes_nothing_says_so(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (site, _, socket):
        before = await control.ask(socket, "GET", "/reload")
        site.list.write_text(f"{KEY} team=dba\nnonsense\n")
        answer = await control.ask(socket, "POST", "/reload")

    assert before.body["result"] == "none"
    assert answer.status == 200
    assert answer.body["result"] == "unchanged"
    assert answer.body["watches"] == 1
    [fault] = answer.body["quarantined"]
    assert fault.startswith(f"{site.list}:2:1: ")


async def test_a_reload_names_the_keys_that_are_other_and_is_told_to_be_over(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (site, stage, socket):
        site.more |= {"retention": "30d", "store": f"sqlite:///{tmp_path}/n.db"}
        site.more["alerts"] = {"repeat_interval": "1h"}
        answer = await control.reload(socket)
        after = await control.ask(socket, "GET", "/reload")
        site.second = FINISHED
        await stage.tells("instance.finished")

    assert answer.status == 202
    assert answer.body["changed"] == ["alerts.repeat_interval", "retention"]
    assert answer.body["needs_restart"] == ["store"]
    assert after.body["result"] == "changed"
    assert after.body["number"] == answer.body["number"] == 1
    assert after.body["watches"] == 1


async def test_a_configuration_that_is_refused_is_answered_with_each_fault(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (site, _, socket):
        site.refusal = errors.Misconfigured("a:1: one", "a:2: another")
        answer = await control.ask(socket, "POST", "/reload")
        still = await control.ask(socket, "GET", "/alerts")

    assert answer.status == 422
    assert answer.type == "application/problem+json"
    assert answer.body["faults"] == ["a:1: one", "a:2: another"]
    assert len(still.body["items"]) == 1


async def test_what_cannot_be_put_into_effect_is_refused_afterwards(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (site, _, socket):
        site.more["sinks"] = NO_SUCH_PLUGIN
        first = await control.reload(socket)
        after = await control.ask(socket, "GET", "/reload")
        still = await control.ask(socket, "GET", "/alerts")

    assert first.status == 202
    assert after.status == 422
    assert "'none'" in after.body["faults"][0]
    assert len(still.body["items"]) == 1


async def test_a_signal_and_a_caller_may_reload_at_once(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with a_failure(tmp_path) as (_, stage, socket):
            await stage.reload()
            answer = await control.ask(socket, "POST", "/reload")
            await eventually(lambda: named(lines)["configuration.unchanged"])

    assert answer.body["result"] == "unchanged"
    assert 1 <= answer.body["number"] <= 2


async def test_systemds_directory_is_for_the_group_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", os.fspath(directory))
    async with a_failure(tmp_path) as (_, _, beside):
        socket = directory / "job-monitor.sock"
        mode = socket.stat().st_mode & 0o777
        answer = await control.ask(socket, "GET", "/alerts")

    assert (mode, answer.status) == (0o660, 200)
    assert not beside.exists()


@pytest.mark.parametrize("turns", range(6))
async def test_who_comes_while_a_configuration_goes_is_answered_by_it_or_by_the_next(
    tmp_path: Path, turns: int
) -> None:
    path = tmp_path / "m.sock"
    with unix.listening(path, 0o600) as listener:
        async with serving(listener, ()):
            client = unix.connected(path, 5)
            client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(turns):  # of the loop: accepted, attached, connected, read
                await checkpoint()
        with client:
            async with serving(listener, ()):
                answer = await anyio.to_thread.run_sync(client.recv, 64)

    assert answer.startswith(b"HTTP/1.1 404 ")
