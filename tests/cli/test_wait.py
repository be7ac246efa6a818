"""``job-monitor wait`` against the simulator, over real sockets.

What takes time runs in virtual time, in this process; the command itself runs as a
process of its own, on jobs that are over at once.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from looptime import LoopTimeProxy
from typer.testing import CliRunner

from monitor import errors
from monitor.cli.main import app
from monitor.cli.waiting import errand, report, terminal
from monitor.cli.waiting.report import Output
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Vigil
from monitor.core import transitions
from monitor.core.ending import Condition, Ending, Finding, Goal
from monitor.core.model import InstanceKey, Snapshot, Step, host_id
from monitor.core.watch import parse_key
from monitor.core.wording import Frame
from monitor.settings import loading
from monitor.settings.model import Settings
from monitor.simulator.credentials import Credentials
from monitor.simulator.faults import Fault, Name
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.world import World

SOURCE = {
    "api": "esb-v2",
    "app_code": "monitor",
    "app_secret": "s3cret-of-the-app",
    "username": "admin",
    "web_url": "https://job.example.com",
}
KEY = InstanceKey("prod", "biz", "2", 20000153)


def settings(url: str, **source: Any) -> Settings:
    return Settings.model_validate(
        {"sources": {"prod": SOURCE | {"url": url} | source}}
    )


class Waited:
    """What came of an errand, and what was said meanwhile."""

    def __init__(self, vigil: Vigil, said: list[str]) -> None:
        self.exit_code = vigil.exit_code
        self.findings = vigil.findings
        self.said = said


async def waiting(
    world: World,
    *keys: str,
    goal: Goal = Goal.FINISHED,
    any_: bool = False,
    patience: timedelta | None = timedelta(hours=1),
    **source: Any,
) -> Waited:
    """Wait for *keys*, or else for all that is played."""
    said: list[str] = []
    wanted = keys or tuple(map(str, world.instances.values()))
    async with serving(world) as url:
        vigil = await errand.kept(
            [parse_key(key, sources=("prod",)) for key in wanted],
            Condition(goal, any_),
            Talk(said.append, locale="en", verbose=False),
            settings(url, **source),
            patience=patience,
            until=anyio.sleep_forever,
            luck=lambda: 0.5,
        )
    return Waited(vigil, said)


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("scenario", "finished", "success", "failed"),
    [
        ("success", 0, 0, 1),
        ("stringly", 1, 1, 0),
        ("mixed_failure", 1, 1, 0),
        ("retry_recovers", 1, 1, 0),
        ("ignore_error", 0, 0, 1),
        ("manual_confirm", 1, 1, 0),
        ("force_stop", 1, 1, 0),
        ("abnormal", 1, 1, 0),
        ("rolling_duplicates", 1, 1, 0),
        ("flapping_internal_error", 1, 1, 0),
        ("html_502", 0, 0, 1),
        ("archived", 0, 0, 1),
        ("legacy_waiting", 0, 0, 1),
        ("hang", 3, 3, 3),
    ],
)
async def test_what_becomes_of_a_job_is_the_exit_code(
    scenario: str, finished: int, success: int, failed: int
) -> None:
    codes = []
    for goal in Goal:
        world = World()
        world.play(scenario)
        codes.append((await waiting(world, goal=goal)).exit_code)

    assert codes == [finished, success, failed]


@pytest.mark.looptime
async def test_an_unknown_instance_is_6_within_seconds(
    looptime: LoopTimeProxy,
) -> None:
    assert (await waiting(World(), "2/999")).exit_code == 6
    assert looptime < 5


@pytest.mark.looptime
async def test_a_business_that_may_not_be_seen_is_4() -> None:
    world = World()
    world.play("success")
    world.forbidden.add(2)

    waited = await waiting(world)

    assert waited.exit_code == 4
    assert "9900403" in waited.said[0]


@pytest.mark.looptime
async def test_refused_credentials_are_4_and_never_shown() -> None:
    world = World(credentials=Credentials(app_secret="another"))
    world.play("success")

    waited = await waiting(world)

    assert waited.exit_code == 4
    assert "gave up on 1 instance" in waited.said[0]
    assert "s3cret" not in "".join(waited.said)


@pytest.mark.looptime
@pytest.mark.parametrize(
    "fault",
    [
        Fault(name=Name.REFUSE),
        Fault(name=Name.SERVER_ERROR),
        Fault(name=Name.HTML, value="200"),
        Fault(name=Name.THROTTLE),
        Fault(name=Name.WRONG_SHAPE),
        Fault(name=Name.INTERNAL_ERROR),
        Fault(name=Name.OTHER_INSTANCE),
    ],
    ids=lambda fault: fault.name,
)
async def test_a_source_that_stays_unusable_is_5_but_not_before_30_seconds(
    fault: Fault, looptime: LoopTimeProxy
) -> None:
    world = World()
    world.play("success")
    world.switch([fault])

    waited = await waiting(world)

    assert waited.exit_code == 5
    assert 30 <= looptime < 600


@pytest.mark.looptime
@pytest.mark.parametrize(
    "name", [Name.REFUSE, Name.SERVER_ERROR, Name.HTML, Name.THROTTLE, Name.TRUNCATE]
)
async def test_a_blip_ends_nothing(name: Name) -> None:
    world = World()
    world.play("success")
    world.switch([Fault(name=name, after=2, until=18)])

    waited = await waiting(world)

    assert waited.exit_code == 0
    assert len(waited.said) == 2
    assert waited.said[0].endswith("trying again")
    assert waited.said[1].endswith(": answers again")


@pytest.mark.looptime
async def test_a_job_that_outlasts_the_patience_is_3(looptime: LoopTimeProxy) -> None:
    world = World()
    world.play("hang")

    waited = await waiting(world, patience=timedelta(seconds=90))

    assert waited.exit_code == 3
    assert looptime == 90


@pytest.mark.looptime
async def test_to_wait_for_success_stops_at_the_first_failure() -> None:
    world = World()
    world.play("one_ip_fails")
    world.play("hang")

    waited = await waiting(world, goal=Goal.SUCCESS, patience=None)

    assert waited.exit_code == 1


@pytest.mark.looptime
async def test_to_wait_for_the_end_sees_all_to_it() -> None:
    world = World()
    world.play("mixed_failure")
    world.play("success", parts=Parts(beat=30))

    waited = await waiting(world)

    endings = [finding.ending for finding in waited.findings]
    assert endings == [Ending.FAILED, Ending.SUCCEEDED]
    assert waited.exit_code == 1


@pytest.mark.looptime
async def test_any_one_is_enough() -> None:
    world = World()
    world.play("hang")
    world.play("one_ip_fails")
    world.play("success", parts=Parts(beat=30))

    waited = await waiting(world, goal=Goal.SUCCESS, any_=True, patience=None)

    assert waited.exit_code == 0


@pytest.mark.looptime
async def test_a_success_that_hides_failures_is_one_with_a_warning() -> None:
    world = World()
    world.play("ignore_error")

    waited = await waiting(world)

    assert waited.exit_code == 0
    assert waited.said == [
        f"{KEY}: warning: succeeded although 1 of 5 hosts failed",
    ]
    assert printed(waited, Output.PLAIN) == [
        f"10.0.0.5\t0\t{KEY}\t104\tnon-zero exit code"
    ]


@pytest.mark.looptime
async def test_many_instances_stay_within_the_requests_at_once() -> None:
    world = World()
    for _ in range(200):
        world.play("success")
    world.switch([Fault(name=Name.LATENCY, value=0.5)])

    waited = await waiting(world, max_in_flight=7)

    assert waited.exit_code == 0
    assert world.record.most_in_flight == 7


@pytest.mark.looptime
async def test_an_interrupt_is_130_and_keeps_what_was_seen() -> None:
    world = World()
    world.play("hang")
    async with serving(world) as url:
        vigil = await errand.kept(
            [KEY],
            Condition(),
            Talk(lambda _: None, locale="en", verbose=False),
            settings(url),
            until=lambda: anyio.sleep(20),
        )

    assert vigil.exit_code == 130
    assert vigil[KEY].snapshot is not None


# What is printed.


def printed(waited: Waited, output: Output) -> list[str]:
    return list(report.lines(framed(*waited.findings), output))


def framed(*findings: Finding) -> list[tuple[Finding, Frame]]:
    return errand.framed(findings, settings("https://paas.example.com"))


@pytest.mark.looptime
async def test_plain_output_has_a_line_for_each_failed_ip() -> None:
    world = World()
    world.play("mixed_failure", parts=Parts(hosts=("10.0.0.1", "3:10.0.0.2")))

    assert printed(await waiting(world), Output.PLAIN) == [
        f"10.0.0.1\t0\t{KEY}\t104\tnon-zero exit code",
        f"10.0.0.2\t3\t{KEY}\t310\tagent abnormal",
    ]


@pytest.mark.looptime
async def test_an_object_speaks_like_an_event() -> None:
    world = World()
    world.play("one_ip_fails")

    waited = await waiting(world)

    (line,) = printed(waited, Output.JSONL)
    found = json.loads(line)
    assert found.pop("steps")[0] == {
        "step_instance_id": 2000015301,
        "execute_count": 0,
        "name": "run script",
        "status": 4,
        "status_name": "failed",
        "failed": 1,
        "total": 5,
    }
    assert found == {
        "outcome": "failed",
        "reason": "",
        "instance": {
            "source": "prod",
            "bk_scope_type": "biz",
            "bk_scope_id": "2",
            "job_instance_id": 20000153,
            "name": "one_ip_fails",
        },
        "link": "https://job.example.com/api_execute/20000153",
        "after": {"status": 4, "status_name": "failed"},
        "failed": 1,
        "total": 5,
        "unfinished": 0,
        "hosts": [
            {
                "ip": "10.0.0.5",
                "bk_cloud_id": 0,
                "status": 104,
                "status_name": "non-zero exit code",
            }
        ],
        "started_at": "2024-05-20T02:00:05Z",
        "ended_at": "2024-05-20T02:00:20Z",
    }
    assert json.loads("\n".join(printed(waited, Output.JSON))) == [json.loads(line)]


def a_finding(name: str) -> Finding:
    hosts = {host_id(f"10.0.0.{n}", 0): 104 for n in range(1, 61)}
    step = Step(step_instance_id=1, status=4, name=name, hosts=hosts)
    seen = transitions.merged(None, Snapshot(status=4, name=name, steps=(step,)))
    return Finding(key=KEY, ending=Ending.FAILED, snapshot=seen)


HOSTILE = "[bold red]not markup[/nope] \x1b[31m"


def test_a_table_shows_text_from_job_as_it_is_and_not_all_ips() -> None:
    stream = StringIO()

    gone = Finding(key=KEY, ending=Ending.GONE, reason="1244006")
    terminal.table(framed(a_finding(HOSTILE), gone), stream)

    first, second, third, fourth, link, *rest = stream.getvalue().splitlines()
    assert first == f"{KEY}  [bold red]not markup[/nope] \\u001b[31m"
    assert second == "  failed, 60 of 60 hosts failed"
    assert third.endswith("\\u001b[31m: failed, 60 of 60 hosts failed")
    assert fourth.startswith("      non-zero exit code  10.0.0.1 10.0.0.2 ")
    assert fourth.endswith(" 10.0.0.50 and 10 more")
    assert link == "  https://job.example.com/api_execute/20000153"
    assert rest[:2] == [str(KEY), "  JOB knows no such instance: 1244006"]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_gauge_counts_hosts_of_few_and_shows_text_as_it_is() -> None:
    stream = Terminal()

    with terminal.gauge([KEY], stream) as bars:
        bars.show(a_finding(HOSTILE))
        bars.say("[/nope] is no markup")

    assert "60/60" in stream.getvalue()
    assert "[/nope] is no markup" in stream.getvalue()
    assert HOSTILE not in stream.getvalue()


def test_a_gauge_counts_the_ended_of_many() -> None:
    keys = [InstanceKey("prod", "biz", "2", n) for n in range(1, 101)]
    stream = Terminal()

    with terminal.gauge(keys, stream) as bars:
        for key in keys[:3]:
            bars.show(Finding(key=key, ending=Ending.FAILED))
        bars.show(Finding(key=keys[3]))

    assert "3/100" in stream.getvalue()


# What it is told.

USABLE = """\
sources:
  prod: {api: esb-v2, url: "https://paas.example.com", app_code: monitor,
         app_secret: s3cret-of-the-app, username: admin}
"""
REST_UNUSABLE = """\
sinks: [{name: x, kind: no_such}, {name: y, kind: webhook, secret_file: /nowhere}]
watch_lists: 7
store: oracle://no
web: {listen: 0.0.0.0:80}
no_such_key: 1
"""


def test_only_what_leads_to_job_must_be_usable(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(USABLE + REST_UNUSABLE)

    environ = {"MONITOR_STORE": "oracle://no", "MONITOR_NO": "1"}

    found = loading.sources(path, environ)

    assert list(found.sources) == ["prod"]


def test_files_of_sources_that_are_not_asked_need_not_be_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(f"{USABLE}  test: {json.dumps(SOURCE | {'url': 'https://t'})}\n")
    environ = {"MONITOR_SOURCES__TEST__CA_FILE": "nowhere.pem"}

    found = loading.sources(path, environ)

    assert list(loading.only(found, ["prod"]).sources) == ["prod"]
    with pytest.raises(errors.Misconfigured, match=r"test\.ca_file: .*nowhere"):
        loading.only(found, ["test"])


def invoke(*words: str, **more: Any) -> Any:
    return CliRunner().invoke(app, ["wait", *words], **more)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "monitor.yaml: no such file"),
        ("sinks: []\n", "sources: is missing"),
        ("sources: {}\n", "needs at least 1"),
        ("sources: [\n", "monitor.yaml:2"),
    ],
)
def test_without_a_usable_source_it_is_78(
    text: str | None, said: str, empty: Path
) -> None:
    if text is not None:
        (empty / "monitor.yaml").write_text(text)

    result = invoke("2/7")

    assert result.exit_code == 78
    assert said in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing argument"),
        (["seven"], "'seven' is not [source/]"),
        (["lab/2/7"], "unknown source 'lab'; configured: prod"),
        (["2/7", "--for", "ever"], "'ever' is not one of"),
        (["2/7", "--timeout", "30"], "write 30s for seconds"),
        (["2/7", "--timeout", "0s"], "no time to look"),
        (["2/7", "-o", "xml"], "'xml' is not one of"),
        (["-"], "stdin names no instance"),
    ],
)
def test_what_cannot_be_meant_is_2(words: list[str], said: str, empty: Path) -> None:
    (empty / "monitor.yaml").write_text(USABLE)

    result = invoke(*words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_an_execute_call_that_started_nothing_is_1(empty: Path) -> None:
    (empty / "monitor.yaml").write_text(USABLE)
    answer = '{"result":false,"code":1240003,"message":"script_content is empty"}'

    result = invoke("-", "--scope", "2", input=answer)

    assert result.exit_code == 1
    assert "no job was started" in result.stderr
    assert "script_content is empty" in result.stderr


# The command itself.


def environment(url: str) -> dict[str, str]:
    given = SOURCE | {"url": url}
    named = {f"MONITOR_SOURCES__PROD__{k.upper()}": v for k, v in given.items()}
    return {**os.environ, **named}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "monitor", "wait", *words]


async def called(
    *words: str, env: Mapping[str, str], cwd: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return await anyio.run_process(
        command(*words), input=stdin, env=env, cwd=cwd, check=False
    )


async def test_the_answer_of_an_execute_call_is_piped_in(tmp_path: Path) -> None:
    world = World(speed=1000)
    job = world.play("mixed_failure")
    answer = {"result": True, "code": 0, "data": {"job_instance_id": 20000153}}

    async with serving(world) as url:
        world.now()
        done = await called(
            "-",
            "--scope",
            str(job.biz),
            env=environment(url),
            cwd=tmp_path,
            stdin=json.dumps(answer).encode(),
        )

    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        f"10.0.0.3\t0\t{KEY}\t104\tnon-zero exit code",
        f"10.0.0.4\t0\t{KEY}\t310\tagent abnormal",
        f"10.0.0.5\t0\t{KEY}\t11\tfailed",
    ]
    assert done.stderr.decode() == f"{KEY}: failed, 3 of 5 hosts failed\n"


async def test_quiet_says_nothing_but_the_exit_code_and_the_ips(
    tmp_path: Path,
) -> None:
    world = World(speed=1000)
    world.play("ignore_error")

    async with serving(world) as url:
        world.now()
        done = await called("2/20000153", "-q", env=environment(url), cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"10.0.0.5\t")


async def test_ctrl_c_is_130_and_prints_what_is_known(tmp_path: Path) -> None:
    world = World()
    world.play("hang")

    async with serving(world) as url:
        process = await anyio.open_process(
            command("2/20000153", "-v", "-o", "jsonl"),
            env=environment(url),
            cwd=tmp_path,
        )
        async with process:
            assert process.stderr is not None
            assert process.stdout is not None
            said = TextReceiveStream(process.stderr)
            assert "waiting" in await said.receive()
            process.send_signal(signal.SIGINT)
            found = json.loads(await TextReceiveStream(process.stdout).receive())
            code = await process.wait()

    assert code == 130
    assert found["outcome"] == "running"


def loaded(script: str) -> set[str]:
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_it_starts_without_the_store_and_without_rich() -> None:
    modules = loaded("import monitor.cli.waiting.errand")

    assert "aiohttp" in modules
    assert modules.isdisjoint({"sqlalchemy", "alembic", "watchfiles", "uvloop"})


def test_help_needs_nothing_that_looks_at_job() -> None:
    modules = loaded(
        "from monitor.cli.main import app\napp(['wait', '--help'], standalone_mode=False)"
    )

    assert modules.isdisjoint({"aiohttp", "anyio", "rich", "structlog", "yaml"})
