"""The message brokers of this machine, each read by a client that is not ours.

Each is skipped, with the reason, where its server or that client is missing.
"""

import asyncio
import base64
import json
import shutil
import socket
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from tests.support import ports

HERE = "127.0.0.1"


Running = AbstractContextManager[int]


class Taken(NamedTuple):
    id: str
    key: str
    content_type: str
    body: bytes


class Server(ABC):
    """One topic of its own at one broker; ``fields`` are a sink's way there."""

    port: int
    scheme: str

    def __init__(self) -> None:
        self.topic = f"job-monitor-{uuid.uuid4().hex[:8]}"
        need_port(self.port, type(self).__name__)

    def fields(self, port: int | None = None) -> dict[str, Any]:
        return {
            "kind": "broker",
            "url": f"{self.scheme}://{HERE}:{port or self.port}",
            "topic": self.topic,
        }

    def declare(self) -> None:  # noqa: B027
        """Make the place that takes the topic, where there must be one."""

    @abstractmethod
    def taken(self, count: int) -> list[Taken]:
        """Read what has arrived, *count* messages of which are awaited."""

    def remove(self) -> None:  # noqa: B027
        """Leave nothing behind."""


class NatsServer(Server):
    """Read over a plain socket, by JetStream's API of JSON."""

    port = 4222
    scheme = "nats"

    @property
    def stream(self) -> str:
        return self.topic.upper()

    def fields(self, port: int | None = None) -> dict[str, Any]:
        return {**super().fields(port), "stream": self.stream}

    def declare(self) -> None:
        made = self.ask(
            f"STREAM.CREATE.{self.stream}",
            {"name": self.stream, "subjects": [self.topic], "storage": "memory"},
        )
        if "error" in made:
            pytest.skip(f"the NATS server has no JetStream: {made['error']}")

    def taken(self, count: int) -> list[Taken]:
        state = self.ask(f"STREAM.INFO.{self.stream}", {})["state"]
        return [self._message(n + 1) for n in range(state["messages"])]

    def remove(self) -> None:
        self.ask(f"STREAM.DELETE.{self.stream}", {})

    def _message(self, sequence: int) -> Taken:
        found = self.ask(f"STREAM.MSG.GET.{self.stream}", {"seq": sequence})["message"]
        headers = dict(
            line.split(": ", 1)
            for line in base64.b64decode(found["hdrs"]).decode().splitlines()
            if ": " in line
        )
        body = base64.b64decode(found["data"])
        key = str(json.loads(body)["partitionkey"])
        return Taken(headers["Nats-Msg-Id"], key, headers["content-type"], body)

    def ask(self, subject: str, request: Mapping[str, Any]) -> Any:
        body = json.dumps(request)
        with socket.create_connection((HERE, self.port), timeout=5) as line:
            file = line.makefile("rwb")
            file.write(b'CONNECT {"verbose":false}\r\nSUB inbox 1\r\nUNSUB 1 1\r\n')
            file.write(
                f"PUB $JS.API.{subject} inbox {len(body)}\r\n{body}\r\n".encode()
            )
            file.flush()
            for told in file:
                if told.startswith(b"MSG"):
                    return json.loads(file.read(int(told.split()[-1])))
        raise AssertionError("no answer")


class RabbitServer(Server):
    """Read by pika."""

    port = 5672
    scheme = "amqp"

    def __init__(self) -> None:
        super().__init__()
        self._pika = pytest.importorskip("pika", reason="RabbitMQ is read by pika")

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        where = self._pika.ConnectionParameters(HERE, self.port)
        line = self._pika.BlockingConnection(where)
        try:
            yield line.channel()
        finally:
            line.close()

    def declare(self, **arguments: Any) -> None:
        with self._channel() as channel:
            channel.queue_declare(self.topic, durable=True, arguments=arguments)

    def taken(self, count: int) -> list[Taken]:
        with self._channel() as channel:
            return list(self._read(channel))

    def _read(self, channel: Any) -> Iterator[Taken]:
        while (found := channel.basic_get(self.topic, auto_ack=True))[0] is not None:
            _, about, body = found
            assert about.delivery_mode == 2
            key = about.headers["partitionkey"]
            yield Taken(about.message_id, key, about.content_type, body)

    def remove(self) -> None:
        with self._channel() as channel:
            channel.queue_delete(self.topic)


class RedisServer(Server):
    """Read by redis-cli."""

    port = 6379
    scheme = "redis"

    def __init__(self) -> None:
        super().__init__()
        need_command("redis-cli")

    def ask(self, *words: str) -> Any:
        done = run("redis-cli", "-p", str(self.port), "--json", *words)
        return json.loads(done)

    def taken(self, count: int) -> list[Taken]:
        entries = self.ask("XRANGE", self.topic, "-", "+")
        return [self._entry(fields) for _, fields in entries]

    def _entry(self, fields: list[str]) -> Taken:
        found = dict(zip(fields[::2], fields[1::2], strict=True))
        body = found["data"].encode()
        return Taken(found["id"], found["partitionkey"], found["content-type"], body)

    def remove(self) -> None:
        self.ask("DEL", self.topic)


class MosquittoServer(Server):
    """Read by mosquitto_sub, in a session that keeps what comes in between."""

    port = 1883
    scheme = "mqtt"

    def __init__(self) -> None:
        super().__init__()
        need_command("mosquitto_sub")

    def declare(self) -> None:
        self._subscribe("-E")

    def taken(self, count: int) -> list[Taken]:
        lines = self._subscribe("-C", str(count), "-W", "5", "-F", "%j").splitlines()
        return [self._message(json.loads(line)) for line in lines]

    def _subscribe(self, *more: str) -> str:
        session = ("-i", self.topic, "-c", "-x", "60", "-V", "5", "-q", "1")
        where = ("-h", HERE, "-p", str(self.port), "-t", self.topic)
        return run("mosquitto_sub", *session, *where, *more)

    def _message(self, found: Any) -> Taken:
        about = found["properties"]
        key = about["user-properties"]["partitionkey"]
        body = found["payload"].encode()
        id_ = about["correlation-data"]
        return Taken(id_, key, about["content-type"], body)


class KafkaServer(Server):
    """librdkafka's mock of a cluster, which speaks the protocol on a socket."""

    scheme = "kafka"

    def __init__(self) -> None:
        self._kafka = pytest.importorskip(
            "confluent_kafka", reason="no Kafka here, and no librdkafka to play one"
        )
        self._cluster = self._kafka.Producer(
            {"bootstrap.servers": "x", "test.mock.num.brokers": 1, "log_level": 0}
        )
        [broker] = self._cluster.list_topics(timeout=5).brokers.values()
        self.port = broker.port
        super().__init__()

    def die(self) -> None:
        del self._cluster

    def taken(self, count: int) -> list[Taken]:
        consumer = self._kafka.Consumer(
            {
                "bootstrap.servers": f"{HERE}:{self.port}",
                "group.id": "test",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([self.topic])
        found = [self._message(it) for it in consumer.consume(count, timeout=20)]
        consumer.close()
        return found

    def _message(self, found: Any) -> Taken:
        headers = {name: value.decode() for name, value in found.headers()}
        key = found.key().decode()
        return Taken(headers["id"], key, headers["content-type"], found.value())


class Proxy:
    """A way to a server that can be cut, and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, HERE, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection(HERE, self._to)
        self._lines |= {writer, back}
        async with anyio.create_task_group() as both:
            both.start_soon(_pass, reader, back)
            both.start_soon(_pass, there, writer)


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    await proxy.mend()
    try:
        yield proxy
    finally:
        proxy.cut()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def need_port(port: int, name: str) -> None:
    try:
        socket.create_connection((HERE, port), timeout=2).close()
    except OSError:
        pytest.skip(f"{name}: nothing listens on {HERE}:{port}")


def need_command(command: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")


def a_mosquitto(folder: Path, tls: Path | None = None) -> Running:
    need_command("mosquitto_passwd")
    port = ports.free()
    lines = [
        f"listener {port} {HERE}",
        f"password_file {folder / 'users'}",
        f"acl_file {folder / 'acl'}",
        "user root",
    ]
    if tls:
        lines += [f"certfile {tls}", f"keyfile {tls}"]
    (folder / "mosquitto.conf").write_text("\n".join(lines))
    (folder / "acl").write_text("user monitor\ntopic write jobs/#\n")
    run("mosquitto_passwd", "-b", "-c", str(folder / "users"), "monitor", "right")
    config = str(folder / "mosquitto.conf")
    return _running("mosquitto", "-c", config, port=port, folder=folder)


def a_nats(folder: Path, tls: Path | None = None) -> Running:
    port = ports.free()
    secured = f'tls {{ cert_file: "{tls}", key_file: "{tls}" }}' if tls else ""
    (folder / "nats.conf").write_text(
        f"""
        listen: "{HERE}:{port}"
        max_payload: 8192
        jetstream {{ store_dir: "{folder / "jetstream"}" }}
        authorization {{
          users: [{{
            user: monitor, password: right,
            permissions: {{ publish: ["jobs", "$JS.API.>"], subscribe: "_INBOX.>" }}
          }}]
        }}
        {secured}
        """
    )
    config = str(folder / "nats.conf")
    return _running("nats-server", "-c", config, port=port, folder=folder)


def a_redis(folder: Path, tls: Path | None = None) -> Running:
    port = ports.free()
    lines = [
        f"bind {HERE}",
        f"dir {folder}",
        'save ""',
        "user default off",
        "user monitor on >right ~* +@all",
        "user reader on >right ~* +@all -xadd",
        f"port {0 if tls else port}",
    ]
    if tls:
        lines += [f"tls-port {port}", f"tls-cert-file {tls}", f"tls-key-file {tls}"]
        lines += ["tls-auth-clients no"]
    (folder / "redis.conf").write_text("\n".join(lines))
    config = str(folder / "redis.conf")
    return _running("redis-server", config, port=port, folder=folder)


@contextmanager
def _running(command: str, *arguments: str, port: int, folder: Path) -> Iterator[int]:
    """Run a server of our own until the end of the block."""
    need_command(command)
    with (
        (folder / f"{command}.log").open("wb") as log,
        subprocess.Popen([command, *arguments], stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            return socket.create_connection((HERE, port), timeout=1).close()
        except ConnectionRefusedError:
            continue
    raise AssertionError(f"the server ended: {process.returncode}")


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout
