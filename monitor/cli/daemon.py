"""The way to a daemon of this machine: finds its socket, asks, says what is amiss.

Of the configuration only the place of the store is looked at, so that who may not
read its secrets can ask all the same.
"""

import http.client
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
import typer
from msgspec import Struct

from monitor import errors
from monitor.settings import loading
from monitor.sinks.printable import printable
from monitor.web import unix
from monitor.web.shapes.page import PageData

T = TypeVar("T")

ROOT: Final = "/api/v1"
PATIENCE: Final = 60.0
"""Seconds for one answer: while a daemon replaces its configuration, it is silent."""

PAGE: Final = 500
ANSWER_MAX: Final = 64 << 20

SILENCE: Final = 40.0
"""Seconds until a stream is believed dead: it says every 15 s that it is there."""


class _Problem(Struct):
    title: str = ""
    detail: str = ""
    faults: tuple[str, ...] = ()


def found(config: Path | None, socket: Path | None) -> "Daemon":
    """Find the daemon of *config*, or the one that has *socket*."""
    return Daemon(place(config, socket))


def place(config: Path | None, socket: Path | None) -> Path:
    return socket or _place(config, os.environ)


def _place(config: Path | None, environ: Any) -> Path:
    named = config is not None or loading.DEFAULT.exists()
    if not named and "MONITOR_STORE" not in environ:
        directory = unix.runtime_directory(environ)
        return directory / unix.NAME if directory else unix.SYSTEM
    return unix.place(loading.store(config, environ), environ)


class Daemon:
    """What it answers is decoded; every refusal is an exception with a remedy."""

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience

    def get(self, path: str, type_: type[T], **query: object) -> T:
        url = _url(path, query)
        try:
            answer = self._asked("GET", url)
        except errors.NoDaemon as failed:
            if not isinstance(failed.__cause__, ConnectionResetError):
                raise
            # It was just replacing its configuration, and takes whoever comes again.
            answer = self._asked("GET", url)
        return self._decoded(answer, type_)

    def send(
        self,
        method: str,
        path: str,
        type_: type[T],
        body: Struct | None = None,
        **query: object,
    ) -> T:
        """Ask for something to be done; what is asked twice may be done twice."""
        return self._decoded(self._asked(method, _url(path, query), body), type_)

    def pages(
        self, path: str, type_: type[T], *, most: int, **query: object
    ) -> Iterator[T]:
        """List the first *most* things, a page at a time as they are wanted."""
        after: str | None = None
        while most > 0:
            limit = min(most, PAGE)
            page = self.get(path, PageData[type_], limit=limit, after=after, **query)  # type: ignore[valid-type]
            yield from page.items
            most, after = most - len(page.items), page.next
            if after is None:
                return

    def stream(
        self, path: str, last: str | None, **query: object
    ) -> Iterator[tuple[str, bytes]]:
        """Give the id and the data of server-sent events until the daemon hangs up.

        It begins behind the id *last*, or with what comes; data is empty where only
        the place has moved.
        """
        headers = {} if last is None else {"Last-Event-ID": last}
        connection = _Connection(self._path, SILENCE)
        try:
            connection.request("GET", _url(path, query), headers=headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refused(response.status, response.read(ANSWER_MAX))
            yield from _events(response)
        except (OSError, http.client.HTTPException) as failed:
            raise _silent(self._path, failed) from failed
        finally:
            connection.close()

    def _asked(self, method: str, url: str, body: Struct | None = None) -> bytes:
        connection = _Connection(self._path, self._patience)
        try:
            connection.request(
                method,
                url,
                None if body is None else _written(body),
                {} if body is None else {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            answer = response.read(ANSWER_MAX + 1)
        except (OSError, http.client.HTTPException) as failed:
            raise _silent(self._path, failed) from failed
        finally:
            connection.close()
        if len(answer) > ANSWER_MAX:
            raise errors.DaemonError("the daemon's answer is too long; ask for less")
        if response.status >= 400:
            raise _refused(response.status, answer)
        return answer

    def _decoded(self, answer: bytes, type_: type[T]) -> T:
        if type_ is type(None):
            return None
        try:
            return msgspec.json.decode(answer, type=type_)
        except msgspec.DecodeError as error:
            raise errors.DaemonError(
                f"what answers at {self._path} is no Job Monitor of this version: {error}"
            ) from error


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path
        self._patience = patience

    def connect(self) -> None:
        self.sock = unix.connected(self._path, self._patience)


def _events(response: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Read what our own daemon writes: each event has its data on one line."""
    id_, data = "", b""
    for line in response:
        name, _, value = line.rstrip(b"\n").partition(b": ")
        match name:
            case b"id":
                id_ = value.decode(errors="replace")
            case b"data":
                data = value
            case b"" if not value and id_:
                yield id_, data
                id_, data = "", b""


def _written(body: Struct) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise typer.BadParameter("what was typed is not UTF-8") from None


def _url(path: str, query: dict[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    # What is not UTF-8 is sent as it was typed: there is nothing of that name.
    words = urlencode(given, doseq=True, errors="surrogateescape")
    return f"{ROOT}{path}" + (f"?{words}" if given else "")


def _silent(path: Path, failed: Exception) -> errors.DaemonError:
    match failed:
        case PermissionError():
            return errors.NotAllowed(f"{path} is not for this user; {_who(path)}")
        case FileNotFoundError() | ConnectionRefusedError():
            return errors.NoDaemon(f"no daemon listens at {path}; {_elsewhere(path)}")
        case TimeoutError():
            return errors.NoDaemon(f"the daemon at {path} does not answer; see its log")
        case _:
            return errors.NoDaemon(
                f"the daemon at {path} went away before it answered; try again"
            )


def _who(path: Path) -> str:
    try:
        owner = path.owner()
    except (OSError, KeyError):
        return "ask as the user that the daemon runs as, or as root"
    return f"ask as {owner}, whose daemon it is, or as root"


def _elsewhere(path: Path) -> str:
    start = "start one with job-monitor run, or name its socket with --socket"
    if path != unix.SYSTEM and unix.SYSTEM.exists():
        return f"{start} (there is one at {unix.SYSTEM})"
    return start


def _refused(status: int, answer: bytes) -> Exception:
    try:
        problem = msgspec.json.decode(answer, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    said = printable(problem.detail or problem.title or f"it answers {status}", 1000)
    match status:
        case 400:
            return typer.BadParameter(said)
        case 404:
            return errors.NotFound(said)
        case 401 | 403:
            return errors.NotAllowed(said)
        case 422 if problem.faults:
            return errors.Misconfigured(*(printable(f, 1000) for f in problem.faults))
        case _:
            return errors.DaemonError(said)
