"""The verb: what is typed, what is refused, and one real process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from monitor.cli import simulate
from monitor.cli.simulate import Address, Cue
from monitor.simulator import esb
from monitor.simulator.faults import Fault, Name
from monitor.simulator.quota import Quota
from monitor.simulator.scenarios import CATALOGUE


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(simulate.simulate)
    return app


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8322", Address("127.0.0.1", 8322)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:80", Address("localhost", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert simulate.address(text) == address


def test_a_cue_is_a_name_and_maybe_a_count() -> None:
    assert simulate.cues(["hang", "success:3"], scripted=False) == (
        Cue("hang"),
        Cue("success", 3),
    )


def test_without_any_wish_there_is_one_of_each() -> None:
    assert [cue.scenario for cue in simulate.cues(None, scripted=False)] == [*CATALOGUE]


def test_a_script_alone_plays_alone() -> None:
    assert simulate.cues(None, scripted=True) == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("refuse", Fault(name=Name.REFUSE)),
        ("latency=2.5", Fault(name=Name.LATENCY, value=2.5)),
        (
            "5xx=503:empty@0.1",
            Fault(name=Name.SERVER_ERROR, value="503:empty", chance=0.1),
        ),
    ],
)
def test_a_fault_is_a_name_a_value_and_a_chance(text: str, fault: Fault) -> None:
    named = simulate.fault_named(text)

    assert (named.name, named.choice, named.chance) == (
        fault.name,
        fault.choice,
        fault.chance,
    )


@pytest.mark.parametrize(
    ("text", "quota"),
    [("20/1", Quota(20, 1)), ("1000/60", Quota(1000, 60)), ("5", Quota(5, 1))],
)
def test_a_quota_is_a_number_of_calls_and_of_seconds(text: str, quota: Quota) -> None:
    assert simulate.quota_of(text) == quota


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--listen", "8322"], "127.0.0.1:8322"),
        (["--listen", "host:99999"], "127.0.0.1:8322"),
        (["--scenario", "hung"], "retry_recovers"),
        (["--scenario", "hang:many"], "hang:10"),
        (["--fault", "rain"], "5xx=503@0.1"),
        (["--fault", "5xx=200"], "5xx=503@0.1"),
        (["--script", "missing.yaml"], "docs/simulator.md"),
        (["--watch-list", "missing/list.txt", "--scenario", "hang"], "missing"),
        (["--speed", "0"], "0.001"),
        (["--quota", "often"], "20/1"),
        (["--quota", "0/1"], "20/1"),
        (["--quota", "20/0"], "20/1"),
    ],
)
def test_what_is_typed_wrong_exits_2_with_a_remedy(
    app: typer.Typer, arguments: list[str], remedy: str
) -> None:
    outcome = CliRunner().invoke(app, arguments, env={"COLUMNS": "500"})

    assert outcome.exit_code == 2
    assert remedy in outcome.stderr
    assert not outcome.stdout


def test_the_list_names_every_scenario(app: typer.Typer) -> None:
    outcome = CliRunner().invoke(app, ["--list"])

    assert outcome.exit_code == 0
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == [*CATALOGUE]


def test_a_script_that_is_wrong_exits_2_and_names_the_entry(
    app: typer.Typer, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("- {scenario: unheard_of}")

    outcome = CliRunner().invoke(app, ["--script", str(path)], env={"COLUMNS": "500"})

    assert outcome.exit_code == 2
    assert "instances[0]: no scenario 'unheard_of'" in outcome.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_a_process_serves_until_it_is_told_to_stop(
    tmp_path: Path, stop: signal.Signals
) -> None:
    watch_list = tmp_path / "watch.txt"
    command = (
        "import typer; from monitor.cli.simulate import simulate; typer.run(simulate)"
    )
    arguments = ["--listen", "127.0.0.1:0", "--scenario", "hang:2"]
    process = subprocess.Popen(  # noqa: ASYNC220 - a real process is the point
        [sys.executable, "-c", command, *arguments, "--watch-list", str(watch_list)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                url + esb.STATUS, params={"bk_biz_id": 2, "job_instance_id": 20000154}
            ) as response,
        ):
            answer = await response.json()
        process.send_signal(stop)
        rest, talk = process.communicate(timeout=10)

    assert answer["data"]["job_instance"]["name"] == "hang"
    assert watch_list.read_text().splitlines() == [
        "2/20000153 scenario=hang",
        "2/20000154 scenario=hang",
    ]
    assert (process.returncode, rest) == (0, "")
    assert "2/20000153 … 2/20000154  hang" in talk
    urls = [line.split() for line in talk.splitlines() if line.startswith("api:")]
    assert [(*line[1:-2:2], line[-1]) for line in urls] == [
        ("esb-v2", "esb-v3", url),
        ("gateway-v3", "gateway-v4", f"{url}/api/bk-job/prod"),
    ]
