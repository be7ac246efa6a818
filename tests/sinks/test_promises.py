"""What every kind of sink in the catalogue promises, whatever its technology.

Whoever adds a kind adds a sample of it here; a test asks for it.
"""

import contextlib
import logging
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from pydantic import BaseModel, TypeAdapter
from structlog.testing import capture_logs

from monitor import clock, errors
from monitor.core.message import Message
from monitor.ports import Sink
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from tests.formats.notified import failing, notified
from tests.sinks import brokers
from tests.sinks.messages import a_notification
from tests.sinks.post import a_post
from tests.sinks.receiver import answering, receiving, speaking
from tests.support import ports

CANARY = "canary-7f3a9d"
HERE = "127.0.0.1"
LOOPBACK = {"allow_networks": ["127.0.0.0/8"]}
HOSTILE = (
    "\x1b]0;x\x07<!channel> @all {{ 7*7 }} `rm`\r\n.\r\n\x00\u202e'\"; DROP TABLE <b>"
)


class Sample(NamedTuple):
    """How to configure one kind, so that it reaches a port of this machine.

    *files* are its keys that name a file, each with what must stand beside it; None
    takes a key away. *extra* is the package that it may lack.
    """

    at: Callable[[int], dict[str, Any]]
    files: Mapping[str, Mapping[str, Any]] = {}
    extra: str = ""
    talks: bool = True


def a_webhook(port: int) -> dict[str, Any]:
    return {
        "url": f"http://{HERE}:{port}/{CANARY}?key={CANARY}",
        "secret": CANARY,
        "headers": {"Authorization": f"Bearer {CANARY}"},
        **LOOPBACK,
    }


def an_alertmanager(port: int) -> dict[str, Any]:
    return {
        "urls": [f"http://{HERE}:{port}/{CANARY}"],
        "username": "monitor",
        "password": CANARY,
        "headers": {"X-Token": CANARY},
        **LOOPBACK,
    }


def a_broker(port: int) -> dict[str, Any]:
    return {
        "url": f"redis://{HERE}:{port}",
        "topic": "jobs",
        "username": "monitor",
        "password": CANARY,
    }


def a_mail(port: int) -> dict[str, Any]:
    query = "from=a@example.com&to=b@example.com"
    return {"urls": [f"mailto://monitor:{CANARY}@{HERE}:{port}/?{query}"]}


def a_program(port: int) -> dict[str, Any]:
    """A program that talks to *port*, and says what it heard when it cannot go on."""
    return {
        "command": [sys.executable, "-c", TALKS, str(port)],
        "environment": {"TOKEN": CANARY},
    }


def a_heartbeat(port: int) -> dict[str, Any]:
    return {
        "url": f"http://{HERE}:{port}/{CANARY}?key={CANARY}",
        "headers": {"X-Token": CANARY},
        **LOOPBACK,
    }


def a_file(port: int) -> dict[str, Any]:
    return {"path": Path(tempfile.mkdtemp()) / f"{port}.jsonl"}


def a_plugin(_port: int) -> dict[str, Any]:
    return {"plugin": "hanging", "options": {"token": CANARY}}


TALKS = """
import os, socket, sys
sys.stdin.read()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as there:
    there.sendall(os.environ["TOKEN"].encode())
    print(there.recv(9000), os.environ["TOKEN"], flush=True)
sys.exit(1)
"""

SAMPLES = {
    "log": Sample(lambda _: {}, talks=False),
    "webhook": Sample(
        a_webhook,
        {
            "secret_file": {"secret": None},
            "headers_file": {},
            "ca_file": {},
            "robot_secret_file": {"format": "template", "template": "dingtalk"},
        },
    ),
    "alertmanager": Sample(
        an_alertmanager,
        {"password_file": {"password": None}, "headers_file": {}, "ca_file": {}},
    ),
    "broker": Sample(
        a_broker,
        {"password_file": {"password": None}, "ca_file": {"url": "rediss://localhost"}},
        extra="faststream",
    ),
    "apprise": Sample(a_mail, {"urls_file": {"urls": None}}, extra="apprise"),
    "file": Sample(a_file, talks=False),
    "exec": Sample(a_program, {"environment_file": {}}),
    "heartbeat": Sample(a_heartbeat, {"headers_file": {}, "ca_file": {}}),
    "plugin": Sample(a_plugin, talks=False),
}

every_kind = pytest.mark.parametrize("kind", SAMPLES)
every_talker = pytest.mark.parametrize(
    "kind", [kind for kind, sample in SAMPLES.items() if sample.talks]
)
every_file = pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, sample in SAMPLES.items() for key in sample.files],
)


def models() -> dict[str, type[BaseModel]]:
    union, *_ = get_args(SinkConfig)
    return {
        get_args(it.model_fields["kind"].annotation)[0]: it for it in get_args(union)
    }


def config(kind: str, **fields: Any) -> SinkConfig:
    given = {name: value for name, value in fields.items() if value is not None}
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(
        {"name": "x", "kind": kind, **given}
    )


def opened(kind: str, port: int, **fields: Any) -> AbstractAsyncContextManager[Sink]:
    sample = SAMPLES[kind]
    if sample.extra:
        pytest.importorskip(sample.extra, reason=f"the extra {kind} is not installed")
    found = config(kind, **{**sample.at(port), **fields})
    return catalogue.opened(found, now=clock.utc_now)


async def refusal(sink: Sink) -> str:
    """Give all that is ever printed of a delivery that fails."""
    with pytest.raises(errors.SinkError) as refused:
        await sink.deliver(a_notification())
    return "".join(traceback.format_exception(refused.value)) + repr(refused.value)


@contextmanager
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Give what was logged since, by libraries and by ourselves."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        yield lambda: caplog.text + repr(lines)


@asynccontextmanager
async def repeating(raw: bytes) -> AsyncIterator[int]:
    """Say *raw* at once, and again at whatever is said."""

    async def speak(stream: SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.send(raw)
                    await stream.receive()

    async with (
        await anyio.create_tcp_listener(local_host=HERE) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, speak)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610
        tasks.cancel_scope.cancel()


def test_every_kind_has_a_sample_here() -> None:
    assert models().keys() == SAMPLES.keys()


@every_kind
def test_every_key_that_names_a_file_is_tried_here(kind: str) -> None:
    keys = {key for key in models()[kind].model_fields if key.endswith("_file")}

    assert keys == SAMPLES[kind].files.keys()


@every_kind
def test_no_secret_is_in_what_is_shown_of_a_configuration(kind: str) -> None:
    found = config(kind, **SAMPLES[kind].at(1))

    shown = (
        repr(found) + str(found) + repr(found.model_dump()) + found.model_dump_json()
    )
    assert CANARY not in shown


@every_talker
async def test_no_secret_is_shown_where_nobody_listens(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(caplog) as logged:
        async with opened(kind, ports.free()) as sink:
            error = await refusal(sink)
            assert CANARY not in error + logged() + repr(sink) + str(sink)


@every_talker
@pytest.mark.parametrize(
    "said", ["-ERR {} {}\r\n", "554 {}\r\n", "HTTP/1.1 {}\r\n\r\n"]
)
async def test_no_secret_is_shown_where_the_other_side_repeats_it(
    kind: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(caplog) as logged:
        async with (
            repeating(said.format(CANARY, CANARY).encode()) as port,
            opened(kind, port, timeout="500ms") as sink,
        ):
            error = await refusal(sink)
        assert CANARY not in error + logged()


@every_talker
async def test_a_side_that_hangs_is_given_up(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(caplog) as logged:
        async with (
            speaking(b"") as origin,
            opened(kind, _port(origin), timeout="300ms") as sink,
        ):
            begun = anyio.current_time()
            error = await refusal(sink)
            took = anyio.current_time() - begun
        assert CANARY not in error + logged()

    assert "300ms" in error
    assert took < 5


@every_kind
@pytest.mark.usefixtures("site")
async def test_a_delivery_can_be_cancelled_at_once(kind: str) -> None:
    async with speaking(b"") as origin, opened(kind, _port(origin)) as sink:
        with anyio.move_on_after(0.2):
            begun = anyio.current_time()
            await sink.deliver(a_notification())
        took = anyio.current_time() - begun

    assert took < 5


@every_kind
@pytest.mark.usefixtures("site")
async def test_a_sink_that_was_never_used_is_closed(kind: str) -> None:
    async with opened(kind, ports.free()) as sink:
        assert sink.name == "x"


@every_file
async def test_a_file_that_is_missing_is_a_misconfiguration_that_names_it(
    kind: str, key: str, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere"
    sink = opened(kind, 1, **{key: missing, **SAMPLES[kind].files[key]})

    with pytest.raises(
        errors.Misconfigured, match=r"nowhere: .*[Nn]o such file"
    ) as found:
        async with sink:
            pass

    assert CANARY not in "".join(traceback.format_exception(found.value))


@every_file
async def test_a_file_that_is_no_text_is_a_misconfiguration_that_shows_none_of_it(
    kind: str, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe" + CANARY.encode())
    sink = opened(kind, 1, **{key: path, **SAMPLES[kind].files[key]})

    with pytest.raises(errors.Misconfigured, match=r"binary: ") as found:
        async with sink:
            pass

    assert CANARY not in "".join(traceback.format_exception(found.value))


@asynccontextmanager
async def willing(
    kind: str, site: Path
) -> AsyncIterator[tuple[Sink, Callable[[], int]]]:
    """Give a sink whose other side takes everything, and counts it."""
    match kind:
        case "log":
            with capture_logs() as lines:
                async with opened(kind, 1) as sink:
                    yield sink, lambda: len(lines)
        case "file":
            path = site / "lines"
            async with opened(kind, 1, path=path) as sink:
                yield sink, lambda: len(path.read_bytes().splitlines())
        case "exec":
            taken = site / "taken"
            command = ["tee", "-a", str(taken)]
            async with opened(kind, 1, command=command) as sink:
                yield sink, lambda: len(taken.read_bytes().splitlines())
        case "plugin":
            taken = site / "taken"
            options = {"path": str(taken)}
            async with opened(kind, 1, plugin="file", options=options) as sink:
                yield sink, lambda: len(taken.read_bytes().splitlines())
        case "broker":
            server = brokers.RedisServer()
            alone = {"username": None, "password": None}
            async with opened(kind, server.port, topic=server.topic, **alone) as sink:
                yield sink, lambda: len(server.taken(1))
            server.remove()
        case "apprise":
            async with (
                a_post() as post,
                opened(kind, 1, urls=[post.url()]) as sink,
            ):
                yield sink, lambda: len(post.letters)
        case _:
            async with (
                receiving(answering(200)) as receiver,
                opened(kind, receiver.port) as sink,
            ):
                yield sink, lambda: len(receiver.deliveries)


def hostile() -> list[Message]:
    [told] = notified(failing(3, name=HOSTILE), log=HOSTILE * 200)
    return [
        a_notification(summary=HOSTILE, labels={HOSTILE: HOSTILE}, link=HOSTILE),
        told,
    ]


@every_kind
@pytest.mark.parametrize("message", hostile(), ids=["odd", "of a job"])
async def test_a_message_of_hostile_text_is_taken(
    kind: str, message: Message, site: Path
) -> None:
    async with willing(kind, site) as (sink, taken):
        await sink.deliver(message)

        assert taken() == 1


def _port(origin: str) -> int:
    return int(origin.rpartition(":")[2])


def _formats() -> list[tuple[str, dict[str, Any]]]:
    """List every way in which a sink speaks HTTP."""
    robots = ("wecom", "dingtalk", "feishu", "slack")
    return [
        ("webhook", {}),
        ("webhook", {"format": "alertmanager"}),
        *(("webhook", {"format": "template", "template": each}) for each in robots),
        ("alertmanager", {}),
        ("heartbeat", {}),
        ("heartbeat", {"method": "POST"}),
    ]


def test_every_kind_that_names_networks_is_tried_against_them() -> None:
    guarded = {
        kind for kind, it in models().items() if "allow_networks" in it.model_fields
    }

    assert guarded == {kind for kind, _ in _formats()}


every_way = pytest.mark.parametrize(("kind", "more"), _formats())


@every_way
async def test_nothing_nearby_is_reached_unless_it_is_named(
    kind: str, more: dict[str, Any]
) -> None:
    async with receiving(answering(200)) as receiver:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            at = SAMPLES[kind].at(receiver.port)
            moved = {key: _at(host, at[key]) for key in ("url", "urls") if key in at}
            async with opened(
                kind, receiver.port, **moved, **more, allow_networks=["10.0.0.0/8"]
            ) as sink:
                error = await refusal(sink)
            assert "allow_networks" in error

    assert receiver.deliveries == []


def _at(host: str, urls: str | list[str]) -> str | list[str]:
    if isinstance(urls, list):
        return [str(_at(host, url)) for url in urls]
    return urls.replace(HERE, host)


@every_way
async def test_no_redirect_is_followed(kind: str, more: dict[str, Any]) -> None:
    async with receiving(answering(200)) as elsewhere:
        answer = answering(307, Location=elsewhere.url)
        async with (
            receiving(answer) as receiver,
            opened(kind, receiver.port, **more) as sink,
        ):
            await refusal(sink)

    assert len(receiver.deliveries) == 1
    assert elsewhere.deliveries == []


@every_way
async def test_no_proxy_of_the_environment_is_asked(
    kind: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving(answering(200)) as proxy,
        receiving(answering(500)) as receiver,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        async with opened(kind, receiver.port, **more) as sink:
            await refusal(sink)

    assert proxy.deliveries == []
    assert len(receiver.deliveries) == 1
