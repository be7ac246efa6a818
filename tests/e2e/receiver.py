"""The other side of a webhook, as its owner would write it with the library."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from aiohttp import web
from msgspec import Struct, json
from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

NOTIFICATION: Final = "bkjob.notification"


class Delivery(Struct, kw_only=True):
    """One request; *status* is what it was answered, None while it is not.

    It came *at* that time of the event loop.
    """

    at: float
    headers: dict[str, str]
    body: bytes
    genuine: bool
    said: dict[str, Any]
    status: int | None = None

    @property
    def id(self) -> str:
        return str(self.said["id"])

    @property
    def type(self) -> str:
        return str(self.said["type"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.said["data"]
        return data

    @property
    def accepted(self) -> bool:
        return self.status == 204


class Receiver:
    """Takes everything, unless *answer* gives another status or *hangs* is set.

    It takes *seconds* for each.

    *library* is what verifies: another one has another key.
    """

    def __init__(self) -> None:
        self.url = ""
        self.deliveries: list[Delivery] = []
        self.answer: Callable[[Delivery], int] = lambda _: 204
        self.hangs = False
        self.seconds = 0.0
        self.library = Webhook(SECRET)

    @property
    def taken(self) -> list[Delivery]:
        """What was accepted, each id once, in the order of arrival."""
        first: dict[str, Delivery] = {}
        for delivery in self.deliveries:
            if delivery.accepted:
                first.setdefault(delivery.id, delivery)
        return list(first.values())

    def events(self, key: str | None = None) -> list[Delivery]:
        """List events, all or those of one *key*."""
        return [
            delivery
            for delivery in self.taken
            if delivery.type != NOTIFICATION
            and key in (None, delivery.said["partitionkey"])
        ]

    @property
    def notifications(self) -> list[Delivery]:
        return [delivery for delivery in self.taken if delivery.type == NOTIFICATION]

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = Delivery(
            at=anyio.current_time(),
            headers=headers,
            body=body,
            genuine=self._genuine(headers, body),
            said=json.decode(body),
        )
        self.deliveries.append(delivery)
        if self.hangs:
            await anyio.sleep_forever()
        await anyio.sleep(self.seconds)
        delivery.status = self.answer(delivery)
        if delivery.accepted:
            return web.Response(status=204)
        # As careless ones do: a refusal repeats all that was sent.
        said = f"no: {request.path_qs} {headers}"
        return web.Response(status=delivery.status, text=said)

    def _genuine(self, headers: dict[str, str], body: bytes) -> bool:
        try:
            self.library.verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with listening(receiver.take) as origin:
        receiver.url = f"{origin}/hook"
        yield receiver


@asynccontextmanager
async def listening(handler: Any) -> AsyncIterator[str]:
    """Let *handler* answer every request; give the origin."""
    server = web.Server(handler, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def types(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.type.removeprefix("bkjob.") for delivery in deliveries]
