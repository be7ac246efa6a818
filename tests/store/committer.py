"""A daemon in miniature, to be killed: it says what became durable.

Reads lines from stdin, each a JSON object: ``url``, ``limit`` (bytes a file may
have, or null) and ``commits`` (how many, or null for no end). For each it forks,
so that a victim starts fast. It prints ``started <pid>``, what the victim says,
and ``ended``. A victim prints ``ack <key> <version>`` for each durable change,
``told <number>`` for each durable telling, and its error, if one ends it.
"""

import itertools
import json
import os
import resource
import sys
from typing import Any

import anyio

from monitor import errors
from monitor.ports import Notice, Telling
from monitor.store import opening
from monitor.store.sql import SqlStore
from tests.store.changes import (
    ALERT,
    KEY,
    TOLD,
    a_change,
    a_delivery,
    a_notification,
)

KEYS = [f"prod/biz/2/{number}" for number in range(1, 9)]


def events_of(version: int) -> int:
    """Tell how many events the change to *version* has."""
    return 1 + version % 3


def sequence_of(version: int) -> int:
    return sum(events_of(one) for one in range(1, version + 1))


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def commit_on(store: SqlStore, key: str, commits: int | None) -> None:
    known = await store.load(key)
    for version in itertools.count(known.version + 1):
        if commits is not None and version > commits:
            return
        change = a_change(
            version,
            key,
            after=sequence_of(version - 1),
            events=events_of(version),
            alerts={ALERT.id: ALERT} if version % 2 else {},
        )
        assert await store.commit(change)
        say("ack", key, version)


async def tell_on(store: SqlStore, commits: int | None) -> None:
    known = (await store.accounts([KEY]))[KEY]
    for number in itertools.count(known.notifications + 1):
        if commits is not None and number > commits:
            return
        delivery = a_delivery(a_notification(number))
        telling = Telling(sink="oncall", told=TOLD, delivery=delivery)
        await store.tell([Notice(group=KEY, number=number, tellings=[telling])])
        say("told", number)


async def live(url: str, commits: int | None) -> None:
    async with opening.opened(url) as store:
        await store.enrol("journal")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell_on, store, commits)
            for key in KEYS:
                tasks.start_soon(commit_on, store, key, commits)


def victim(order: dict[str, Any]) -> None:
    limit = order["limit"]
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        anyio.run(live, order["url"], order["commits"])
    except* errors.MonitorError as failed:
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        say(type(error).__name__, error)


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            victim(json.loads(line))
            os._exit(0)
        say("started", pid)
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main()
