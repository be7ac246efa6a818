"""Worlds of the simulator whose dates agree with those of whoever watches them."""

from typing import Any

from monitor.clock import utc_now
from monitor.simulator.world import World
from tests.support import clock


def today(**more: Any) -> World:
    """Give one for a daemon that asks the system what day it is."""
    return World(epoch=utc_now().timestamp(), **more)


def this_morning(**more: Any) -> World:
    """Give one for whoever asks ``tests.support.clock``."""
    return World(epoch=clock.now().timestamp(), **more)
