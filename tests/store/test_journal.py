"""The end of the log on PostgreSQL, where several append to it at once."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import OperationalError

from monitor.core.message import Message
from monitor.core.shards import ALL
from monitor.store import journal, outbox, postgres
from monitor.store.journal import Journal
from tests.store.changes import an_event

SINK = "journal"
EACH = 60


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    with postgres.connected(make_url(database)) as made:
        yield made


def append(connection: Connection, *messages: Message, topic: str = "") -> None:
    written = Journal(0)
    written.begin()
    written.append([outbox.event_row(message) for message in messages])
    if topic:
        written.mention(topic)
        written.mention(topic)
    written.write(connection)


def placed(engine: Engine) -> list[tuple[int, str]]:
    with engine.connect() as connection:
        unread = outbox.unread(connection, SINK, 9999, ALL)
        return [(position, message.id) for position, message in unread.events]


def enrolled(engine: Engine) -> None:
    with engine.begin() as connection:
        outbox.enrol(connection, SINK)


def test_who_appends_second_waits_for_the_first(engine: Engine) -> None:
    enrolled(engine)
    with engine.begin() as first:
        append(first, an_event(1))
        with engine.connect() as second:
            second.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                append(second, an_event(1, "prod/biz/2/2"))
    with engine.begin() as second:
        append(second, an_event(1, "prod/biz/2/2"))

    assert placed(engine) == [(1, an_event(1).id), (2, "prod/biz/2/2#1")]


def test_what_is_rolled_back_leaves_no_hole(engine: Engine) -> None:
    enrolled(engine)
    with engine.connect() as first:
        append(first, an_event(1), an_event(2))
        first.rollback()
    with engine.begin() as second:
        append(second, an_event(1, "prod/biz/2/2"))
        end = journal.end(second)

    assert placed(engine) == [(1, "prod/biz/2/2#1")]
    assert end == 1


def test_whoever_reads_while_others_append_passes_nobody_over(engine: Engine) -> None:
    enrolled(engine)
    keys = ("prod/biz/2/1", "prod/biz/2/2")
    writers = [threading.Thread(target=write, args=(engine, key)) for key in keys]
    found: list[tuple[int, Message]] = []
    for writer in writers:
        writer.start()
    while len(found) < len(keys) * EACH:
        over = not any(writer.is_alive() for writer in writers)
        with engine.begin() as connection:
            unread = outbox.unread(connection, SINK, 7, ALL)
            found += unread.events
            if unread.upto is not None:
                outbox.read(connection, SINK, unread.upto, (), ALL)
        if over and not unread.events:
            break
    for writer in writers:
        writer.join()

    assert all(a < b for (a, _), (b, _) in pairwise(found))
    for key in keys:
        mine = [message.sequence for _, message in found if message.key == key]
        assert mine == [*range(1, EACH + 1)]


def write(engine: Engine, key: str) -> None:
    """Append, and take it back now and then."""
    for number in range(1, EACH + 1):
        with engine.connect() as connection:
            append(connection, an_event(number, key))
            if number % 5 == 0:
                connection.rollback()
                append(connection, an_event(number, key))
            connection.commit()


def test_each_topic_is_counted_once_a_transaction(engine: Engine) -> None:
    with engine.begin() as connection:
        append(connection, topic="quiet")
    with engine.begin() as connection:
        append(connection, topic="quiet")
        append(connection, topic="wishes")
    with engine.connect() as connection:
        append(connection, topic="lists")
        connection.rollback()
        heard = journal.heard(connection)

    assert {topic: n for topic, n in heard.items() if n} == {"quiet": 2, "wishes": 1}
