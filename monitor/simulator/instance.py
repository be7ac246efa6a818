"""One instance at play: its story, when it began, and its own weather."""

from collections.abc import Callable

from msgspec.structs import replace

from monitor.simulator import retry, timeline
from monitor.simulator.faults import Switchboard
from monitor.simulator.story import Canned, Flavour, Launch, Story
from monitor.simulator.timeline import Moment


class Instance:
    """All times are seconds of the simulated world; *biz* numbers any scope."""

    def __init__(
        self,
        biz: int,
        job_instance_id: int,
        *,
        story: Story | Canned,
        flavour: Flavour,
        began: float,
        played: float | None = None,
        kind: str = "biz",
        launch: Launch = Launch(),  # noqa: B008 - frozen
    ) -> None:
        self.biz = biz
        self.kind = kind
        self.job_instance_id = job_instance_id
        self.story = story
        self.flavour = flavour
        self.began = began
        self.played = began if played is None else played
        """When it was put here; its past is nobody's to be told."""

        self.launch = launch
        self.faults = Switchboard(story.faults, since=began)
        self._printed: dict[str, tuple[Moment, bytes]] = {}

    def __str__(self) -> str:
        short = f"{self.biz}/{self.job_instance_id}"
        return short if self.kind == "biz" else f"{self.kind}/{short}"

    @property
    def name(self) -> str:
        return self.launch.name or self.story.name

    @property
    def type(self) -> int:
        """0 of a plan, 1 a script, 2 a file (bk-job TaskTypeEnum)."""
        if self.launch.type is not None:
            return self.launch.type
        return 1 if self.launch.plan_id < 0 else 0

    @property
    def is_mortal(self) -> bool:
        """Whether a time comes, or came, when nothing is left to be told."""
        if isinstance(self.story, Canned):
            return True
        return self.story.timeline.frames[-1].moment is None

    def moment(self, now: float) -> Moment | None:
        """Say how things stand; None: archived, or canned and so without state."""
        if isinstance(self.story, Canned):
            return None
        return self.story.timeline.at(now - self.began)

    def retry(self, now: float, beat: float) -> None:
        """Let a user retry the failed hosts *now*; each state lasts one *beat*.

        Raises:
            NotRetryableError: the instance is archived, canned, or not failed.
        """
        moment = self.moment(now)
        if moment is None or isinstance(self.story, Canned):
            raise retry.NotRetryableError(f"{self} has no state to retry")
        elapsed = now - self.began
        past = self.story.timeline.until(elapsed)
        future = timeline.paced(retry.retried(moment), beat=beat, start=elapsed)
        self.story = replace(self.story, timeline=timeline.dated([*past, *future]))

    def printed(self, voice: str, moment: Moment, put: Callable[[], bytes]) -> bytes:
        """Put *moment* into bytes, once in each voice for as long as it lasts."""
        known = self._printed.get(voice)
        if known is None or known[0] is not moment:
            known = self._printed[voice] = (moment, put())
        return known[1]
