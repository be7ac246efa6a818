"""What Alertmanager is to know: the alerts that hold, by group and fingerprint.

In memory alone: after a start the notifier tells of everything that holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from monitor.core.message import Message
from monitor.formats import alertmanager
from monitor.formats.alertmanager import Labelled
from monitor.formats.reading import Notification

MOST: Final = 50_000
"""Alerts held at once, each a few KiB at most."""

Alerts = Mapping[str, Labelled]
"""By fingerprint."""

NONE: Final[Alerts] = {}


class Held:
    def __init__(self) -> None:
        self._groups: dict[str, Alerts] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, group: str) -> Alerts:
        """Take a group away, so that nobody else sends it meanwhile."""
        taken = self._groups.pop(group, NONE)
        self._count -= len(taken)
        return taken

    def put(self, group: str, alerts: Alerts) -> None:
        if alerts:
            self._groups[group] = alerts
            self._count += len(alerts)

    def of(self, groups: Sequence[str]) -> list[Labelled]:
        """List what holds of those groups that are here at the moment."""
        return [a for g in groups for a in self._groups.get(g, NONE).values()]

    def batches(self, most: int) -> Iterator[list[str]]:
        """Divide the groups of this moment so that about *most* alerts go together."""
        batch: list[str] = []
        count = 0
        for group, alerts in list(self._groups.items()):
            if batch and count + len(alerts) > most:
                yield batch
                batch, count = [], 0
            batch.append(group)
            count += len(alerts)
        if batch:
            yield batch


def compared(
    before: Alerts, message: Message, data: Notification
) -> tuple[Alerts, Alerts]:
    """Say what of a group holds after *message*, and what is over.

    A message lists all that holds, so that whatever was held and is not in it is
    over; only where it had no room for all, what it does not mention stays.
    """
    listed = _by_fingerprint(alertmanager.holding(message, data))
    named = _by_fingerprint(alertmanager.ended(message, data))
    gone = {key: a for key, a in before.items() if key not in listed}
    if data.omitted:
        stays = {key: a for key, a in gone.items() if key not in named}
        listed = {**stays, **listed}
    over = {key: a for key, a in {**named, **gone}.items() if key not in listed}
    return listed, over


def _by_fingerprint(alerts: Sequence[Labelled]) -> dict[str, Labelled]:
    return {alertmanager.fingerprint(alert.labels): alert for alert in alerts}
