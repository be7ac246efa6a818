"""A sink that tells a person what happens, a line each, as it happens."""

from typing import Any, Final

import anyio
import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from monitor.core.message import NOTIFICATION, Message

_LINES: Final = {
    "bkjob.instance.appeared": ("●", "cyan", "{name} is watched: {after}"),
    "bkjob.instance.finished": ("■", "bold", "{name} ended: {after}"),
    "bkjob.instance.reopened": ("↻", "yellow", "{name} was reopened: {after}"),
    "bkjob.step.retried": ("↻", "yellow", "{name} is tried again: attempt {attempt}"),
    "bkjob.hosts.failed": ("✗", "red", "{name}: failed on {hosts}"),
    "bkjob.hosts.recovered": ("✓", "green", "{name}: recovered on {ips}"),
    "bkjob.hosts.changed": ("·", "dim", "{name}: {counts}"),
}


class Narrator:
    """*failure* and *recovery* are set when the notification of each is told."""

    name = "narrator"

    def __init__(self, begin: float) -> None:
        self.failure = anyio.Event()
        self.recovery = anyio.Event()
        self._begin = begin
        self._console = Console(highlight=False)

    def say(self, sentence: str, style: str = "bold magenta") -> None:
        seconds = anyio.current_time() - self._begin
        self._console.print(Text(f"{seconds:5.1f}s  "), Text(sentence, style), sep="")

    async def deliver(self, message: Message) -> None:
        data = msgspec.json.decode(message.data)
        if message.type == NOTIFICATION:
            self._notify(data)
        elif message.type in _LINES:
            mark, style, words = _LINES[message.type]
            self.say(f"{mark} {words.format(**_words(data))}", style)

    def _notify(self, data: dict[str, Any]) -> None:
        firing = data["status"] == "firing"
        self._console.print(
            Panel(
                Text("\n".join([data["summary"], *_hosts(data)])),
                title=f"notification · {data['status']} · {data['reason']}",
                title_align="left",
                border_style="red" if firing else "green",
            )
        )
        if firing:
            self.failure.set()
        elif self.failure.is_set():
            self.recovery.set()


def _words(data: dict[str, Any]) -> dict[str, str]:
    return {
        "name": data["instance"]["name"] or str(data["instance"]["job_instance_id"]),
        "after": data.get("after", {}).get("status_name", ""),
        "attempt": str(data.get("step", {}).get("execute_count", 0) + 1),
        "hosts": ", ".join(_host(host) for host in data.get("hosts", ())),
        "ips": ", ".join(host["ip"] for host in data.get("hosts", ())),
        "counts": ", ".join(
            f"{count['count']} {count['status_name']}"
            for count in data.get("counts", ())
        ),
    }


def _hosts(data: dict[str, Any]) -> list[str]:
    hosts = [host for alert in data["alerts"] for host in alert["hosts"]]
    return [f"  {_host(host)}" for host in hosts]


def _host(host: dict[str, Any]) -> str:
    return f"{host['ip']} ({host['status_name']})"
