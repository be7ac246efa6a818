"""Message brokers: the real ones of this machine, read by clients that are not ours."""

import asyncio
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from pydantic import TypeAdapter, ValidationError

from monitor import clock, errors
from monitor.core.message import Message
from monitor.ports import Sink
from monitor.sinks import catalogue
from monitor.sinks.broker.config import BrokerConfig
from monitor.sinks.catalogue import SinkConfig
from tests.sinks.brokers import (
    HERE,
    KafkaServer,
    MosquittoServer,
    NatsServer,
    RabbitServer,
    RedisServer,
    Server,
    a_mosquitto,
    a_nats,
    a_redis,
    proxied,
)
from tests.sinks.messages import a_notification, an_event
from tests.sinks.receiver import speaking
from tests.support import ports

pytest.importorskip("faststream", reason="pip install 'job-monitor[broker]'")

CANARY = "canary-7f3a9d"
OTHER = "prod/biz/2/20000154"

EVERY = [NatsServer, RabbitServer, RedisServer, MosquittoServer, KafkaServer]
URLS = {
    "nats": {"topic": "jobs", "stream": "JOBS"},
    "amqp": {"topic": "jobs"},
    "redis": {"topic": "jobs"},
    "mqtt": {"topic": "jobs"},
    "kafka": {"topic": "jobs"},
}
each_scheme = pytest.mark.parametrize("scheme", URLS)


@pytest.fixture(params=EVERY)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = request.param()
    made.declare()
    yield made
    made.remove()


def config(**fields: Any) -> SinkConfig:
    given = {"name": "x", "kind": "broker", **fields}
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(given)


def opened(**fields: Any) -> AbstractAsyncContextManager[Sink]:
    return catalogue.opened(config(**fields), now=clock.utc_now)


async def refusal(sink: Sink, message: Message | None = None) -> errors.SinkError:
    with pytest.raises(errors.SinkError) as refused:
        await sink.deliver(message or an_event())
    return refused.value


async def test_what_a_broker_holds_is_what_was_delivered(server: Server) -> None:
    messages = [
        an_event(sequence=1),
        an_event(sequence=1, key=OTHER),
        an_event(sequence=2, data={"name": "\r\n\x00{{ 7 * 7 }} 中文 " * 50}),
        a_notification(),
    ]

    async with opened(**server.fields()) as sink:
        for message in messages:
            await sink.deliver(message)

    taken = server.taken(len(messages))
    assert [it.id for it in taken] == [message.id for message in messages]
    assert [it.key for it in taken] == [message.key for message in messages]
    assert [it.body for it in taken] == [message.cloudevent() for message in messages]
    assert {it.content_type for it in taken} == {"application/cloudevents+json"}


async def test_many_keys_at_once_share_a_connection(server: Server) -> None:
    keys = [f"prod/biz/2/{n}" for n in range(20)]

    async def tell(sink: Sink, key: str) -> None:
        for sequence in (1, 2, 3):
            await sink.deliver(an_event(key=key, sequence=sequence))

    async with opened(**server.fields()) as sink, anyio.create_task_group() as all_keys:
        for key in keys:
            all_keys.start_soon(tell, sink, key)

    taken = [it.id for it in server.taken(60)]
    for key in keys:
        mine = [id_ for id_ in taken if id_.startswith(f"{key}#")]
        assert mine == [an_event(key=key, sequence=n).id for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", [it for it in EVERY if it is not KafkaServer])
async def test_a_cut_connection_costs_no_message(kind: type[Server]) -> None:
    """Not with Kafka, whose clients go past the proxy to the address it names."""
    server = kind()
    server.declare()
    async with (
        proxied(server.port) as proxy,
        opened(**server.fields(proxy.port), timeout="5s") as sink,
    ):
        await sink.deliver(an_event(sequence=1))
        proxy.cut()
        refused = await refusal(sink, an_event(sequence=2))
        await proxy.mend()
        await sink.deliver(an_event(sequence=2))
        await sink.deliver(an_event(sequence=3))

    taken = [it.id for it in server.taken(3)]
    server.remove()
    assert isinstance(refused, errors.Undelivered)
    assert taken == [an_event(sequence=n).id for n in (1, 2, 3)]


async def test_a_kafka_that_died_is_left_with_nothing_that_goes_on() -> None:
    server = KafkaServer()
    before = asyncio.all_tasks()
    async with opened(**server.fields(), timeout="1s") as sink:
        await sink.deliver(an_event(sequence=1))
        server.die()
        refused = await refusal(sink, an_event(sequence=2))

        assert isinstance(refused, errors.Undelivered)
        assert asyncio.all_tasks() == before


async def test_jetstream_keeps_one_copy_of_an_id() -> None:
    server = NatsServer()
    server.declare()
    async with opened(**server.fields()) as sink:
        await sink.deliver(an_event())
        await sink.deliver(an_event())

    taken = server.taken(1)
    server.remove()
    assert [it.id for it in taken] == [an_event().id]


async def test_a_subject_that_no_stream_takes_is_tried_again() -> None:
    async with opened(**NatsServer().fields()) as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert "no stream of JetStream takes" in str(refused)


async def test_a_stream_that_is_not_the_expected_one_does_not_count() -> None:
    server = NatsServer()
    server.declare()
    async with opened(**{**server.fields(), "stream": "ANOTHER"}) as sink:
        refused = await refusal(sink)

    taken = server.taken(0)
    server.remove()
    assert isinstance(refused, errors.Undelivered)
    assert "expected stream does not match" in str(refused)
    assert taken == []


async def test_what_no_queue_takes_is_tried_again() -> None:
    async with opened(**RabbitServer().fields()) as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert "no queue takes job-monitor-" in str(refused)


async def test_a_full_queue_is_tried_again() -> None:
    server = RabbitServer()
    server.declare(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    async with opened(**server.fields()) as sink:
        await sink.deliver(an_event(sequence=1))
        refused = await refusal(sink, an_event(sequence=2))

    server.remove()
    assert isinstance(refused, errors.Undelivered)
    assert "the queue takes no more" in str(refused)


async def test_an_exchange_that_is_closed_to_us_is_for_good() -> None:
    fields = RabbitServer().fields()
    async with opened(**fields, exchange="amq.rabbitmq.trace") as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Rejected)
    assert "ACCESS_REFUSED" in str(refused)


async def test_an_exchange_that_is_missing_is_tried_again() -> None:
    async with opened(**RabbitServer().fields(), exchange="job-monitor-none") as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert "no exchange 'job-monitor-none'" in str(refused)


async def test_a_redis_key_of_another_type_is_tried_again() -> None:
    server = RedisServer()
    server.ask("SET", server.topic, "1")
    async with opened(**server.fields()) as sink:
        refused = await refusal(sink)

    server.remove()
    assert isinstance(refused, errors.Undelivered)
    assert "holds something else than a stream" in str(refused)


async def test_a_redis_stream_keeps_about_as_many_entries_as_it_may() -> None:
    server = RedisServer()
    async with opened(**server.fields(), max_length=10) as sink:
        for sequence in range(300):
            await sink.deliver(an_event(sequence=sequence))

    kept = len(server.taken(10))
    server.remove()
    assert 10 <= kept < 300


async def test_a_topic_may_name_the_source() -> None:
    server = RedisServer()
    topic, server.topic = server.topic, f"{server.topic}.prod"
    async with opened(**{**server.fields(), "topic": f"{topic}.{{source}}"}) as sink:
        await sink.deliver(an_event())

    taken = server.taken(1)
    server.remove()
    assert [it.id for it in taken] == [an_event().id]


async def test_an_mqtt_message_that_may_not_be_published_is_for_good(
    tmp_path: Path,
) -> None:
    with a_mosquitto(tmp_path) as port:
        (tmp_path / "word").write_text("right\n")
        async with opened(
            url=f"mqtt://{HERE}:{port}",
            topic="elsewhere",
            username="monitor",
            password_file=tmp_path / "word",
        ) as sink:
            refused = await refusal(sink)

    assert isinstance(refused, errors.Rejected)
    assert "Not authorized" in str(refused)


async def test_a_password_is_read_again_for_each_connection(tmp_path: Path) -> None:
    with a_mosquitto(tmp_path) as port:
        word = tmp_path / "word"
        word.write_text(CANARY)
        async with opened(
            url=f"mqtt://{HERE}:{port}",
            topic="jobs/failed",
            username="monitor",
            password_file=word,
        ) as sink:
            refused = await refusal(sink)
            word.write_text("right\n")
            await sink.deliver(an_event())

    assert isinstance(refused, errors.Undelivered)
    assert CANARY not in printed(refused)


async def test_a_subject_that_is_forbidden_is_for_good(tmp_path: Path) -> None:
    with a_nats(tmp_path) as port:
        async with opened(
            url=f"nats://{HERE}:{port}",
            topic="elsewhere",
            stream="JOBS",
            username="monitor",
            password="right",
        ) as sink:
            refused = await refusal(sink)

    assert isinstance(refused, errors.Rejected)
    assert 'permissions violation for publish to "elsewhere"' in str(refused)


async def test_a_message_beyond_max_payload_is_for_good(tmp_path: Path) -> None:
    with a_nats(tmp_path) as port:
        async with opened(
            url=f"nats://{HERE}:{port}",
            topic="jobs",
            stream="JOBS",
            username="monitor",
            password="right",
        ) as sink:
            refused = await refusal(sink, an_event(data={"log": "x" * 10_000}))

    assert isinstance(refused, errors.Rejected)
    assert "max_payload" in str(refused)


@pytest.mark.parametrize("user", [{}, {"username": "monitor"}])
async def test_no_wrong_password_is_shown(
    user: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with a_redis(tmp_path) as redis, a_nats(tmp_path) as nats:
        for where in (
            {"url": f"redis://{HERE}:{redis}", "topic": "jobs"},
            {"url": f"nats://{HERE}:{nats}", "topic": "jobs", "stream": "JOBS"},
        ):
            async with opened(**where, **user, password=CANARY) as sink:
                refused = await refusal(sink)
                assert isinstance(refused, errors.Undelivered)
                assert CANARY not in printed(refused) + repr(sink)

    assert CANARY not in caplog.text


async def test_a_wrong_password_of_rabbitmq_is_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fields = RabbitServer().fields()
    async with opened(**fields, username="guest", password=CANARY) as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert "ACCESS_REFUSED" in str(refused)
    assert CANARY not in printed(refused) + caplog.text


async def test_a_user_who_may_not_add_to_the_stream_is_refused_for_good(
    tmp_path: Path,
) -> None:
    with a_redis(tmp_path) as port:
        async with opened(
            url=f"redis://{HERE}:{port}",
            topic="jobs",
            username="reader",
            password="right",
        ) as sink:
            refused = await refusal(sink)

    assert isinstance(refused, errors.Rejected)
    assert "no permissions" in str(refused)


@pytest.mark.parametrize("scheme", ["rediss", "mqtts", "tls"])
async def test_tls_is_spoken_with_those_whom_ca_file_vouches_for(
    scheme: str, tmp_path: Path
) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ours.pem")
    theirs.cert_pem.write_to_path(tmp_path / "theirs.pem")
    ours.issue_cert(HERE).private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "both.pem"
    )
    run = {"rediss": a_redis, "mqtts": a_mosquitto, "tls": a_nats}[scheme]
    with run(tmp_path, tls=tmp_path / "both.pem") as port:
        fields = {
            "url": f"{scheme}://{HERE}:{port}",
            "topic": "jobs",
            "username": "monitor",
            "password": "right",
            **({"stream": "JOBS"} if scheme == "tls" else {}),
        }
        async with opened(**fields, ca_file=tmp_path / "theirs.pem") as sink:
            refused = await refusal(sink)
        async with opened(**fields, ca_file=tmp_path / "ours.pem") as sink:
            reached = await outcome(sink)

    assert "CERTIFICATE_VERIFY_FAILED" in str(refused) or "certificate" in str(refused)
    assert reached in ("delivered", "no stream of JetStream takes jobs")


async def outcome(sink: Sink) -> str:
    try:
        await sink.deliver(an_event())
    except errors.Undelivered as exc:
        return str(exc).partition(" ")[2].partition(":")[0]
    return "delivered"


@each_scheme
async def test_where_nobody_listens_is_said(scheme: str) -> None:
    url = f"{scheme}://{HERE}:{ports.free()}"
    async with opened(url=url, **URLS[scheme]) as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert str(refused).startswith(f"{url} cannot be reached: ")


@each_scheme
async def test_a_broker_that_hangs_is_given_up_after_its_timeout(scheme: str) -> None:
    """In real time: some drivers ask the clock of the system."""
    async with (
        speaking(b"") as origin,
        opened(
            url=origin.replace("http", scheme), timeout="300ms", **URLS[scheme]
        ) as sink,
    ):
        begun = anyio.current_time()
        refused = await refusal(sink)
        took = anyio.current_time() - begun

    assert isinstance(refused, errors.Undelivered)
    assert ("within 300ms" in str(refused)) is (scheme != "kafka")  # bootstrap is over
    assert took < 3


@each_scheme
@pytest.mark.parametrize(
    "answer",
    [
        f"-ERR unknown command AUTH {CANARY}\r\n".encode() * 3,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes(64),
        bytes(range(256)),
        b"\xff" * 64,
    ],
    ids=["an error that repeats", "http", "zeros", "every byte", "ones"],
)
async def test_what_is_no_broker_is_survived(scheme: str, answer: bytes) -> None:
    user = {} if scheme == "redis" else {"username": "u"}
    async with (
        speaking(answer) as origin,
        opened(
            url=origin.replace("http", scheme),
            **URLS[scheme],
            **user,
            password=CANARY,
            timeout="300ms",
        ) as sink,
    ):
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert CANARY not in printed(refused)


@each_scheme
async def test_a_delivery_is_cancelled_at_once(scheme: str) -> None:
    async with (
        speaking(b"") as origin,
        opened(url=origin.replace("http", scheme), **URLS[scheme]) as sink,
    ):
        begun = anyio.current_time()
        with anyio.move_on_after(0.1) as scope:
            await sink.deliver(an_event())
        took = anyio.current_time() - begun

    assert scope.cancelled_caught
    assert took < 3


async def test_a_password_file_that_is_missing_is_a_misconfiguration(
    tmp_path: Path,
) -> None:
    missing = tmp_path / "word"
    sink = opened(
        url="redis://localhost", topic="jobs", username="u", password_file=missing
    )

    with pytest.raises(errors.Misconfigured, match="word: No such file"):
        async with sink:
            pass


async def test_a_missing_extra_is_a_misconfiguration_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "monitor.sinks.broker.redis", raising=False)
    monkeypatch.setitem(sys.modules, "faststream.redis", None)

    with pytest.raises(
        errors.Misconfigured, match=r"pip install 'job-monitor\[broker\]'"
    ):
        async with opened(url="redis://localhost", topic="jobs"):
            pass


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://localhost"},
        {"url": f"amqp://guest:{CANARY}@localhost"},
        {"url": "amqp://"},
        {"url": "amqp://a,b"},
        {"url": "redis://localhost/zero"},
        {"url": "mqtt://localhost:99999"},
        {"url": "nats://localhost"},
        {"url": "nats://localhost", "stream": "JOBS", "topic": "jobs.>"},
        {"url": "kafka://localhost", "topic": "jobs/failed"},
        {"url": "mqtt://localhost", "topic": "jobs/#"},
        {"topic": ""},
        {"topic": "two words"},
        {"topic": "jobs.{team}"},
        {"topic": "x" * 250},
        {"stream": "JOBS"},
        {"exchange": "jobs"},
        {"sasl": "scram-sha-256"},
        {"url": "mqtt://localhost", "max_length": 9},
        {"ca_file": "/etc/ssl/ca.pem"},
        {"username": "monitor"},
        {"url": "mqtt://localhost", "password": CANARY},
        {"password": CANARY, "password_file": "/run/word"},
        {"max_length": 0},
        {"timeout": "0s"},
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    given = {"name": "x", "kind": "broker", "url": "redis://localhost", "topic": "jobs"}

    with pytest.raises(ValidationError) as refused:
        BrokerConfig.model_validate({**given, **fields})

    assert CANARY not in str(refused.value)


def test_no_secret_is_in_what_is_shown_of_a_configuration() -> None:
    found = config(url="amqp://localhost", topic="x", username="u", password=CANARY)

    assert CANARY not in repr(found) + found.model_dump_json() + repr(
        found.model_dump()
    )
