"""What the machines that share a store say of their files."""

from collections.abc import Sequence

from monitor.core.lists import Claim, Said
from monitor.ports import Part
from monitor.store.sql import SqlStore
from tests.store.conftest import Engine

A, B = "host-a:/etc", "host-b:/etc"
LIST = "lists/a.txt"


def parts(*digests: str) -> list[Part]:
    return [Part(digest, f"body of {digest}".encode()) for digest in digests]


async def publish(
    store: SqlStore, node: str, *digests: str, name: str = LIST, **more: int
) -> None:
    said = Said(digest="+".join(digests), **more)
    await store.publish(name, node, said, parts(*digests))


async def claim(store: SqlStore, node: str, name: str = LIST) -> Claim:
    [found] = [c for c in await store.claims() if (c.node, c.name) == (node, name)]
    return found


async def content(store: SqlStore, of: Claim) -> Sequence[bytes]:
    digests = await store.parts_of(of)
    bodies = {part.digest: part.body for part in await store.bodies(of, digests)}
    return [bodies[digest] for digest in digests]


async def test_what_a_machine_says_is_there_for_all_also_after_a_restart(
    engine: Engine,
) -> None:
    async with engine() as store:
        assert await store.claims() == []
        await publish(store, A, "one", "two", rank=3, faults=2)

    async with engine() as store:
        found = await claim(store, A)
        assert found.said == Said(digest="one+two", rank=3, faults=2)
        assert await content(store, found) == [b"body of one", b"body of two"]


async def test_each_machine_has_a_content_of_its_own(engine: Engine) -> None:
    async with engine() as store:
        await publish(store, A, "one", "two")
        await publish(store, B, "one", "three")

        assert await content(store, await claim(store, A)) == [
            b"body of one",
            b"body of two",
        ]
        assert (await claim(store, B)).at > (await claim(store, A)).at
        assert [
            part.digest
            for part in await store.bodies(await claim(store, B), ["three", "two"])
        ] == ["three"]


async def test_parts_are_replaced_added_and_taken_away(engine: Engine) -> None:
    async with engine() as store:
        for digests in (("1", "2", "3"), ("1", "x", "3", "4"), ("3",), ()):
            await publish(store, A, *digests)
            assert await store.parts_of(await claim(store, A)) == [*digests]


async def test_the_same_content_holds_since_it_was_said_first(engine: Engine) -> None:
    async with engine() as store:
        await publish(store, A, "one")
        first = await claim(store, A)
        await publish(store, A, "one", faults=1)
        again = await claim(store, A)
        await publish(store, A, "two")

        assert (again.at, again.said.faults) == (first.at, 1)
        assert (await claim(store, A)).at > first.at


async def test_a_machine_withdraws_what_it_says_and_nothing_else(
    engine: Engine,
) -> None:
    async with engine() as store:
        await publish(store, A, "one")
        await publish(store, A, "two", name="lists/b.txt")
        await publish(store, B, "one")
        gone = await claim(store, A)
        await store.withdraw(A, [LIST])

        left = {(each.name, each.node) for each in await store.claims()}
        assert left == {("lists/b.txt", A), (LIST, B)}
        assert await store.parts_of(gone) == []


async def test_what_a_machine_said_is_kept_until_it_is_away_for_long(
    engine: Engine,
) -> None:
    async with engine() as store:
        await publish(store, A, "one")
        old = await claim(store, A)

        assert await store.forget_lists(60.0) == 0
        await store.attest(A)
        assert await claim(store, A) == old
        assert await store.forget_lists(-60.0) == 1
        assert await store.claims() == []
        assert await store.parts_of(old) == []
