"""A real SMTP server on loopback, which remembers the letters that it took."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import anyio
import pytest


class Post:
    """Takes mail, or answers what it is told to; counts who talks to it at once."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answer = "250 OK"
        self.hold = anyio.Event()
        self.hold.set()
        self.now = self.most = 0
        self.port = 0

    def url(self, user: str = "") -> str:
        query = "from=jm@example.com&to=ops@example.com"
        return f"mailto://{user}127.0.0.1:{self.port}/?{query}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.now += 1
        self.most = max(self.most, self.now)
        await self.hold.wait()
        self.now -= 1
        if self.answer.startswith("250"):
            found = email.message_from_bytes(
                envelope.content, policy=email.policy.default
            )
            assert isinstance(found, EmailMessage)
            self.letters.append(found)
        return self.answer


@asynccontextmanager
async def a_post() -> AsyncIterator[Post]:
    smtp = pytest.importorskip("aiosmtpd.smtp", reason="mail is received by aiosmtpd")
    post = Post()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: smtp.SMTP(post, hostname="localhost"), "127.0.0.1", 0
    )
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        post.hold.set()
        server.close()
