"""What a reload does: everything is read anew, and what is other takes effect."""

from collections.abc import Callable

import structlog

from monitor import errors, logs
from monitor.reloading import Reloading
from monitor.settings import configuration
from monitor.settings.configuration import Configuration
from monitor.settings.model import Settings
from monitor.watchlist.following import Lists
from monitor.watchlist.listing import Listing

Load = Callable[[], Settings]

log = structlog.get_logger()


async def reread(
    load: Load, known: Configuration, lists: Lists, reloading: Reloading
) -> Settings | None:
    """Give other settings if there are any; else *lists* are read anew.

    *reloading* answers whoever asked for it.
    """
    try:
        settings, needs_restart = configuration.bound(known.settings, load())
        for key in needs_restart:
            log.warning("configuration.needs_restart", key=key)
        again = configuration.read(settings)
    except errors.Misconfigured as refused:
        log.warning("configuration.refused", faults=refused.faults)
        reloading.refused(refused.faults)
        return None

    logs.protect(again.secrets)
    if changed := configuration.differences(known, again):
        log.info("configuration.changed")
        reloading.replacing(changed, needs_restart)
        return settings

    def unchanged(local: Listing, whole: Listing) -> None:
        reloading.unchanged(local, needs_restart, len(whole.watches))

    await lists.read_anew(unchanged)
    log.info("configuration.unchanged")
    return None
