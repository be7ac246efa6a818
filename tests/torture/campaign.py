"""A run: a cluster, a database, a JOB and a receiver, and what befalls them."""

import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import anyio.to_thread
from standardwebhooks import Webhook, WebhookVerificationError

from monitor.simulator.instance import Instance
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.store import copying
from tests.e2e import truth
from tests.e2e.receiver import SECRET, receiving
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.e2e.test_kills import SCENARIOS, retry_some, unfinished
from tests.e2e.waiting import until
from tests.support import postgresqls, worlds
from tests.support.postgresqls import Server
from tests.support.proxying import proxying
from tests.torture import audit, figures, schedule
from tests.torture.evidence import Evidence, Struck
from tests.torture.figures import Figures
from tests.torture.members import LONG, Member, environs, library
from tests.torture.sampling import Sampler
from tests.torture.schedule import PROMISE, Fault, Kind, Plan

Say = Callable[[str], None]

WAVES: Final = 20
"""So often instances are begun, in the first four fifths of a run."""


PARTS: Final = (0.08, 0.25, 0.5, 1.0)
"""Of the longest beat: how long the states of an instance last."""


class Undated(Webhook):
    """Verifies a signature whatever the sender's clock says: theirs are apart."""

    def verify(self, data: Any, headers: dict[str, str], **_: Any) -> None:
        dated = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signed = self.sign(headers["webhook-id"], dated, data.decode())
        if not compare_digest(*map(_bytes, (signed, headers["webhook-signature"]))):
            raise WebhookVerificationError("No matching signature found")


def _bytes(signature: str) -> bytes:
    return b64decode(signature.removeprefix("v1,"))


class Campaign:
    """What is running; ``evidence`` grows meanwhile."""

    def __init__(
        self, plan: Plan, evidence: Evidence, server: Server, say: Say
    ) -> None:
        self.members: list[Member] = []
        self.evidence = evidence
        self._plan = plan
        self._server = server
        self._say = say
        self._luck = Random(plan.seed)

    async def run(self) -> None:
        """Let everything happen that the plan says, then wait until all is quiet."""
        async with anyio.create_task_group() as carers:
            carers.start_soon(self.evidence.sampler.run)
            carers.start_soon(self._look_after)
            for member in self.members:
                member.start()
            await self._start()
            async with anyio.create_task_group() as troubles:
                troubles.start_soon(self._play)
                await self._strike_all(troubles)
            self._say("nothing is wrong any more")
            await self._settle()
            await self._end()
            carers.cancel_scope.cancel()

    async def _start(self) -> None:
        for member in self.members:
            await member.working()
        self._say(f"{len(self.members)} daemons work")
        self.evidence.began = anyio.current_time()

    async def _end(self) -> None:
        evidence = self.evidence
        evidence.ended = anyio.current_time()
        for member in self.members:
            await member.drain()
        skew = self._plan.skew if evidence.skewed else 0.0
        for member in self.members:
            member.remember(evidence.date_of_zero, member.number * skew)
        evidence.lives = [life for each in self.members for life in each.lives]
        url = self._server.url()
        evidence.writes = await anyio.to_thread.run_sync(audit.writes, url)

    async def keep(self, file: Path) -> None:
        """Keep the store as it is in the end, for whoever wants to look into it."""
        target = f"sqlite:///{file}"
        await copying.copy(
            self._server.url(), target, replace=False, report=lambda *_: None
        )

    async def _look_after(self) -> None:
        while True:
            for member in self.members:
                if code := member.look_after():
                    self._say(f"daemon {member.number} ended by itself with {code}")
            await anyio.sleep(0.5)

    async def _strike_all(self, troubles: anyio.abc.TaskGroup) -> None:
        for fault in schedule.faults(self._plan):
            await anyio.sleep_until(self.evidence.began + fault.at)
            await self._someone_else_works(fault)
            troubles.start_soon(self._strike, fault)

    async def _someone_else_works(self, fault: Fault) -> None:
        """Wait until somebody is there to take over."""
        others = [each for each in self.members if each.number != fault.member]
        if others:
            await until(
                lambda: any(each.works for each in others),
                "somebody works",
                within=LONG,
                every=0.2,
            )

    async def _strike(self, fault: Fault) -> None:
        begun = anyio.current_time()
        self._tell(fault)
        struck = Struck(fault.kind, 0, begun, float("inf"), frozenset())
        if fault.member is not None:
            struck.pid = self.members[fault.member].life.pid
            struck.shards = self.evidence.sampler.owned(struck.pid, begun)
        self.evidence.struck.append(struck)
        await self._do(fault)
        struck.until = anyio.current_time()

    def _tell(self, fault: Fault) -> None:
        whom = "the database" if fault.member is None else f"daemon {fault.member}"
        lasting = f" for {fault.seconds:.1f} s" if fault.seconds else ""
        self._say(f"{fault.kind.value}: {whom}{lasting}")

    async def _do(self, fault: Fault) -> None:
        if fault.member is None:
            await anyio.to_thread.run_sync(self._server.restart)
            return
        member = self.members[fault.member]
        match fault.kind:
            case Kind.KILL:
                member.kill()
                await anyio.sleep(fault.seconds)
                member.start()
            case Kind.DRAIN:
                await member.drain()
                await anyio.sleep(fault.seconds)
                member.start()
            case Kind.STOP:
                await member.stop(fault.seconds)
            case Kind.HOLE:
                await member.cut_off(fault.seconds)
            case Kind.SEVER:
                member.proxy.sever()

    async def _play(self) -> None:
        """Begin instances wave by wave, and retry what failed."""
        world, played = self.evidence.world, list[Instance]()
        for size in _waves(self._plan.instances):
            played += [self._begin(len(played) + n) for n in range(size)]
            for member in self.members:
                member.site.watch(*played)
            await anyio.sleep(0.8 * self._plan.duration / WAVES)
            retry_some(world, self._luck)

    def _begin(self, number: int) -> Instance:
        parts = Parts(beat=self._plan.beat * self._luck.choice(PARTS))
        return self.evidence.world.play(SCENARIOS[number % len(SCENARIOS)], parts=parts)

    async def _settle(self) -> None:
        """Wait until all is over at JOB, and known, and told."""
        # The last fault has its takeovers as well.
        await anyio.sleep(PROMISE)
        for member in self.members:
            await member.working()
        left: dict[str, Callable[[], Iterator[object]]] = {
            "stories are not over": lambda: unfinished(self.evidence.world),
            "instances are not as on record": self._untrue,
            "messages are not received": self._untold,
        }
        for what, rest in left.items():
            self._say(f"waiting while {what}")
            with anyio.move_on_after(self._patience()) as waiting:
                await self._until_none(rest)
            if waiting.cancelled_caught:
                self.evidence.unsettled.append(f"{len([*rest()])} {what}")

    async def _until_none(self, rest: Callable[[], Iterator[object]]) -> None:
        def left() -> bool:
            return any(True for _ in rest())

        while await anyio.to_thread.run_sync(left):  # noqa: ASYNC110 - others' work
            await anyio.sleep(1.0)

    def _patience(self) -> float:
        return self._plan.patience + 10 * self._plan.beat

    def _untrue(self) -> Iterator[object]:
        return truth.untrue(self.evidence.world, self.evidence.record)

    def _untold(self) -> Iterator[object]:
        taken = {delivery.id for delivery in self.evidence.receiver.taken}
        record = self.evidence.record
        yield from (event.id for event in record.events() if event.id not in taken)
        yield from truth.mistold(self.evidence.receiver, record)


def _waves(instances: int) -> Iterator[int]:
    """Give how many begin each time: half of them at once."""
    first = instances - instances // 2
    yield first
    each, more = divmod(instances - first, WAVES - 1)
    for number in range(WAVES - 1):
        yield each + (number < more)


async def run(plan: Plan, directory: Path, say: Say) -> Figures:
    """Run *plan* with daemons that work in *directory*; measure what came of it."""
    async with _prepared(plan, directory, say) as campaign:
        await campaign.run()
        (directory / "timeline.json").write_bytes(campaign.evidence.timeline())
        with (directory / "receipts.jsonl").open("wb") as receipts:
            receipts.writelines(campaign.evidence.receipts())
        await campaign.keep(directory / "store.db")
        return await anyio.to_thread.run_sync(figures.measured, campaign.evidence)


@asynccontextmanager
async def _prepared(plan: Plan, directory: Path, say: Say) -> AsyncIterator[Campaign]:
    """Set up everything but the daemons."""
    # The loop's clock, also for threads that look at the world.
    world = worlds.today(seed=plan.seed, clock=time.monotonic)  # noqa: TID251
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgresqls.served())
        await _migrated(server.url())
        audit.install(server.url())
        origin = await stack.enter_async_context(serving(world))
        receiver = await stack.enter_async_context(receiving())
        receiver.library = Undated(SECRET)
        evidence = Evidence(plan, world, receiver, anyio.current_time())
        evidence.sampler = Sampler(server.url())
        evidence.record = DatabaseRecord(server.url())
        evidence.skewed = plan.daemons > 1 and plan.skew > 0 and library() is not None
        evidence.date_of_zero = time.time() - anyio.current_time()  # noqa: TID251
        campaign = Campaign(plan, evidence, server, say)
        for number, environ in enumerate(environs(plan.daemons, plan.skew)):
            proxy = await stack.enter_async_context(proxying(server.port))
            site = _site(directory / f"{number}", origin, server.url(proxy.port), plan)
            site.tell(receiver)
            member = Member(number, site, proxy, environ)
            stack.callback(member.end)
            campaign.members.append(member)
        yield campaign


def _site(directory: Path, origin: str, store: str, plan: Plan) -> Site:
    directory.mkdir()
    site = Site(directory, origin, sinks=[], store=store)
    # Told one by one, so that each can be held against the truth.
    site.settings["alerts"]["storm"] = {"messages": 100_000}
    site.settings["polling"] |= {
        "max_interval": f"{plan.max_interval * 1000:.0f}ms",
        # All that failed may be retried to the end.
        "settle": "12h",
    }
    return site


async def _migrated(url: str) -> None:
    command = [sys.executable, "-m", "monitor", "store", "migrate", url]
    await anyio.run_process(command)
