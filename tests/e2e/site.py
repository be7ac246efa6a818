"""A directory with a configuration in it, quick enough to watch it work."""

from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.receiver import SECRET, Receiver

QUICK: Final = {"min_interval": "100ms", "max_interval": "300ms", "lost_after": "1s"}


class Site:
    """*settings* is the configuration as a tree; ``write`` puts it on disk."""

    def __init__(self, directory: Path, url: str, **settings: Any) -> None:
        self.directory = directory
        self.config = directory / "monitor.yaml"
        self.watch_list = directory / "watchlist.txt"
        self.database = directory / "monitor.db"
        self.settings: dict[str, Any] = {
            "sources": {"prod": source(url)},
            "watch_lists": ["watchlist.txt"],
            "polling": dict(QUICK),
            "alerts": {"group_wait": "100ms", "group_interval": "100ms"},
            "sinks": [{"name": "journal", "kind": "log"}],
            **settings,
        }
        self.write()
        self.watch()

    @property
    def source(self) -> dict[str, Any]:
        source: dict[str, Any] = self.settings["sources"]["prod"]
        return source

    def write(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def watch(self, *instances: object) -> None:
        """Let the watch list name exactly *instances*."""
        self.watch_list.write_text("".join(f"{each}\n" for each in instances))

    def tell(self, receiver: Receiver, **more: Any) -> None:
        """Let a webhook have everything, beside the log."""
        self.settings["sinks"].append(webhook(receiver.url, **more))
        self.write()


def source(url: str, **more: Any) -> dict[str, Any]:
    who = {"app_code": "job-monitor", "app_secret": "app-secret", "username": "admin"}
    return {"api": "esb-v2", "url": url, **who, **more}


def webhook(url: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "hook",
        "kind": "webhook",
        "url": url,
        "secret": SECRET,
        "send": ["events", "alerts"],
        "allow_networks": ["127.0.0.0/8"],
        **more,
    }
