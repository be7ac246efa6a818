"""The world of one JOB: its instances, who may see them, the weather, the time.

Knows no API and no sockets. Time is the event loop's clock, times the speed,
from the first time anybody asks; so a test in virtual time has virtual JOB time.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import anyio

from monitor.simulator import scenarios
from monitor.simulator.credentials import Credentials
from monitor.simulator.faults import Fault, Switchboard
from monitor.simulator.history import History
from monitor.simulator.instance import Instance
from monitor.simulator.question import scope
from monitor.simulator.quota import Meter, Quota, Ration
from monitor.simulator.record import Record
from monitor.simulator.scenarios import Parts
from monitor.simulator.story import Canned, Flavour, Launch, Story
from monitor.simulator.wording import Wording

FIRST_ID: Final = 20000153

_MORNING_OF_2024_05_20: Final = 1716170400.0


class World:
    """A world to be played in; all of it may be changed while it is served.

    *epoch* is the date of second 0, for printing alone. *credentials* of None
    lets everybody in; *tenant* of None asks for no tenant header. *language* is
    spoken to whom asks for none (JOB's own is zh-cn). *seed* decides all luck.
    """

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        flavour: Flavour = Flavour.MODERN,
        speed: float = 1.0,
        tenant: str | None = None,
        quota: Quota | None = None,
        language: str = "en",
        epoch: float = _MORNING_OF_2024_05_20,
        seed: int = 0,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self.credentials = credentials
        self.flavour = flavour
        self.tenant = tenant
        self.quota = quota
        self.meter = Meter()
        self.language = language
        self.epoch = epoch
        self.forbidden: set[int] = set()
        """Numbers of the scopes that the caller may not see."""

        self.faults = Switchboard()
        self.record = Record()
        self.instances: dict[tuple[int, int], Instance] = {}
        """By the number of the scope and the id, which is JOB's own for all scopes."""

        self.history = History()
        self.callers: list[Instance] = []
        self.callback_wanted = anyio.Event()
        self.luck = Random(seed)  # noqa: S311 - weather, not secrets
        self._clock = clock
        self._speed = speed
        self._origin: float | None = None
        self._taken: set[int] = set()
        self._next_id = FIRST_ID

    def now(self) -> float:
        """Count the simulated seconds since the world was first looked at."""
        if self._origin is None:
            self._origin = self._clock()
        return (self._clock() - self._origin) * self._speed

    def play(
        self,
        story: str | Story | Canned,
        *,
        biz: int = 2,
        job_instance_id: int | None = None,
        scope_type: str = "biz",
        parts: Parts = Parts(),  # noqa: B008 - frozen
        flavour: Flavour | None = None,
        launch: Launch = Launch(),  # noqa: B008 - frozen
        created: float | None = None,
    ) -> Instance:
        """Begin *story*, a built-in one by its name; return its instance.

        It begins at second *created* of the world, which may lie before 0; now if
        that is None. *biz* is the number of the scope, whatever its type. Without
        an id the next free one is taken; an id in use begins anew.
        """
        if isinstance(story, str):
            story = scenarios.story(story, parts)
        identifier = self._free_id() if job_instance_id is None else job_instance_id
        own = story.flavour if isinstance(story, Story) else None
        instance = Instance(
            biz,
            identifier,
            story=story,
            flavour=flavour or own or self.flavour,
            began=self.now() if created is None else created,
            played=self.now(),
            kind=scope(biz, scope_type).kind,
            launch=launch,
        )
        self._replace(instance)
        return instance

    def _replace(self, instance: Instance) -> None:
        key = instance.biz, instance.job_instance_id
        if old := self.instances.get(key):
            self.history.remove(old, self._created_ms(old))
            if old in self.callers:
                self.callers.remove(old)
        self.instances[key] = instance
        self._taken.add(instance.job_instance_id)
        if instance.launch.callback_url is not None:
            self.callers.append(instance)
            self.callback_wanted.set()
        self.history.add(instance, self._created_ms(instance))

    def _created_ms(self, instance: Instance) -> int:
        return round((self.epoch + instance.began) * 1000)

    def find(
        self, biz: int, job_instance_id: int, *, kind: str | None = None
    ) -> Instance | None:
        """Find an instance by the number of its scope, of any type or of *kind*."""
        instance = self.instances.get((biz, job_instance_id))
        if instance is None or kind not in {None, instance.kind}:
            return None
        return instance

    def wording(self, instance: Instance) -> Wording:
        story = instance.story
        stringly = isinstance(story, Story) and story.stringly
        shuffled = isinstance(story, Story) and story.shuffled
        return Wording(
            biz=instance.biz,
            kind=instance.kind,
            job_instance_id=instance.job_instance_id,
            name=instance.name,
            epoch=self.epoch + instance.began,
            launch=instance.launch,
            flavour=instance.flavour,
            stringly=stringly,
            shuffle=self.luck.shuffle if shuffled else None,
        )

    def switch(self, faults: Iterable[Fault], *, on: Instance | None = None) -> None:
        """Replace the faults of the world, or those *on* one instance."""
        board = self.faults if on is None else on.faults
        board.switch(faults, now=self.now())

    def ration(self, app: str) -> Ration | None:
        """Take one call out of the quota of *app*; None: there is no quota.

        Windows are of the client's time, whatever the speed.
        """
        if self.quota is None:
            return None
        ration = self.meter.take(self.quota, app, self._clock())
        self.record.throttled += not ration.granted
        return ration

    def striking(self, instance: Instance | None) -> tuple[Fault, ...]:
        """Draw the faults that hit one request: the world's, then the instance's."""
        now = self.now()
        ours = self.faults.striking(now, self.luck.random)
        theirs = instance.faults.striking(now, self.luck.random) if instance else ()
        return ours + theirs

    def _free_id(self) -> int:
        while self._next_id in self._taken:
            self._next_id += 1
        return self._next_id
