"""Mail, and the other hundred services of Apprise: a letter for people.

Apprise blocks, so that each address is told in a thread, never more than a few at
once. A thread that hangs is left behind and keeps its place until it ends.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
from anyio import CapacityLimiter

from monitor import durations, errors
from monitor.core.message import Message
from monitor.formats import letter
from monitor.formats.letter import Letter
from monitor.sinks.apprise.config import AppriseConfig
from monitor.sinks.printable import printable

if TYPE_CHECKING:
    from monitor.sinks.apprise.addresses import Address

AT_ONCE: Final = 4
REMEMBERED: Final = 1000


@asynccontextmanager
async def opened(config: AppriseConfig, *, locale: str) -> AsyncIterator["AppriseSink"]:
    """Open the sink; Misconfigured for an address that cannot be used."""
    try:
        from monitor.sinks.apprise import addresses  # noqa: PLC0415
    except ImportError as exc:
        raise errors.Misconfigured(
            f"sink {config.name}: {exc.name} is not installed: "
            "pip install 'job-monitor[apprise]'"
        ) from None
    found = await addresses.read(config)
    yield AppriseSink(config, found, locale=config.locale or locale)


class AppriseSink:
    def __init__(
        self, config: AppriseConfig, addresses: Sequence["Address"], *, locale: str
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._locale = locale
        self._limiter = CapacityLimiter(AT_ONCE)
        self._told: OrderedDict[str, set[int]] = OrderedDict()
        """Of messages that some have taken and others have not: who has."""

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        written = letter.of(message, markup=self._config.format, locale=self._locale)
        told = self._told.pop(message.id, set())
        left = set(range(len(self._addresses))) - told
        late = f"did not answer within {durations.text(self._config.timeout)}"
        failed = dict.fromkeys(sorted(left), late)
        with anyio.move_on_after(self._config.timeout.total_seconds()):
            async with anyio.create_task_group() as all_left:
                for number in left:
                    all_left.start_soon(self._tell, number, written, failed)
        if failed:
            self._remember(message.id, told | (left - failed.keys()))
            raise errors.Undelivered("; ".join(self._why(failed)))

    async def _tell(self, number: int, written: Letter, failed: dict[int, str]) -> None:
        why = await anyio.to_thread.run_sync(
            self._addresses[number].tell,
            written,
            self._config.format,
            limiter=self._limiter,
            abandon_on_cancel=True,
        )
        if why:
            failed[number] = why
        else:
            del failed[number]

    def _remember(self, id_: str, told: set[int]) -> None:
        """Keep who has it, so that the next try tells the others only."""
        if told:
            self._told[id_] = told
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _why(self, failed: dict[int, str]) -> list[str]:
        count = len(self._addresses)
        return [
            f"{self._addresses[number].name} ({number + 1} of {count}): {printable(why)}"
            for number, why in failed.items()
        ]
