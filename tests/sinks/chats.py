"""Robots of group chats on loopback, which check what the real ones check.

Independent of what the package thinks of them: signatures, sizes and codes are
written anew, from the documentation that ``monitor/formats/robots.py`` names.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web


class Chat:
    """*quota* is how many messages it takes before it has enough."""

    def __init__(self, secret: str = "", quota: int = 20) -> None:
        self.secret = secret
        self.quota = quota
        self.shown: list[str] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        try:
            said = json.loads(raw)
        except ValueError:
            return self.answered(self.malformed)
        verdict = self.refused(request, said, raw)
        if verdict is None and len(self.shown) >= self.quota:
            verdict = self.busy
        if verdict is None:
            self.shown.append(self.text(said))
        return self.answered(verdict)

    malformed: tuple[int, str]
    busy: tuple[int, str]

    def answered(self, verdict: tuple[int, str] | None) -> web.Response:
        raise NotImplementedError

    def refused(
        self, request: web.BaseRequest, said: Any, raw: bytes
    ) -> tuple[int, str] | None:
        raise NotImplementedError

    def text(self, said: Any) -> str:
        raise NotImplementedError


class WeCom(Chat):
    malformed = (93017, "invalid json")
    busy = (45009, "api freq out of limit")

    def answered(self, verdict: tuple[int, str] | None) -> web.Response:
        code, why = verdict or (0, "ok")
        return web.json_response({"errcode": code, "errmsg": why})

    def refused(
        self, request: web.BaseRequest, said: Any, raw: bytes
    ) -> tuple[int, str] | None:
        if said.get("msgtype") != "markdown":
            return 40008, "invalid message type"
        size = len(said["markdown"]["content"].encode())
        return (
            (40058, "markdown.content exceed max length 4096") if size > 4096 else None
        )

    def text(self, said: Any) -> str:
        return str(said["markdown"]["content"])


class DingTalk(WeCom):
    malformed = (40035, "缺少参数 json")
    busy = (130101, "send too fast, exceed 20 times per minute")

    def refused(
        self, request: web.BaseRequest, said: Any, raw: bytes
    ) -> tuple[int, str] | None:
        if self.secret and not self._signed(request.query):
            return 310000, "sign not match"
        if not {"title", "text"} <= said.get("markdown", {}).keys():
            return 40035, "缺少参数 markdown"
        return (460101, "message too long") if len(raw) > 20_000 else None

    def _signed(self, query: Mapping[str, str]) -> bool:
        moment = query.get("timestamp", "0")
        late = abs(time.time() * 1000 - int(moment)) > 3_600_000  # noqa: TID251
        expected = mac(self.secret, f"{moment}\n{self.secret}")
        return query.get("sign") == expected and not late

    def text(self, said: Any) -> str:
        return str(said["markdown"]["text"])


class Feishu(Chat):
    malformed = (9499, "Bad Request")
    busy = (11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")

    def answered(self, verdict: tuple[int, str] | None) -> web.Response:
        code, why = verdict or (0, "success")
        return web.json_response({"code": code, "msg": why, "data": {}})

    def refused(
        self, request: web.BaseRequest, said: Any, raw: bytes
    ) -> tuple[int, str] | None:
        if self.secret and not self._signed(said):
            return 19021, "sign match fail or timestamp is not within one hour"
        if said.get("msg_type") != "interactive" or len(raw) > 20 * 1024:
            return 9499, "Bad Request"
        return None

    def _signed(self, said: Mapping[str, Any]) -> bool:
        moment = said.get("timestamp", "0")
        late = abs(time.time() - int(moment)) > 3600  # noqa: TID251
        expected = mac(f"{moment}\n{self.secret}", "")
        return isinstance(moment, str) and said.get("sign") == expected and not late

    def text(self, said: Any) -> str:
        title = said["card"]["header"]["title"]["content"]
        return f"{title}\n{said['card']['elements'][0]['content']}"


class Slack(Chat):
    malformed = (400, "invalid_payload")
    busy = (429, "rate_limited")

    def answered(self, verdict: tuple[int, str] | None) -> web.Response:
        status, why = verdict or (200, "ok")
        headers = {"Retry-After": "30"} if status == 429 else {}
        return web.Response(status=status, text=why, headers=headers)

    def refused(
        self, request: web.BaseRequest, said: Any, raw: bytes
    ) -> tuple[int, str] | None:
        header, section = said["blocks"]
        good = (
            said["text"]
            and 0 < len(header["text"]["text"]) <= 150
            and header["text"]["type"] == "plain_text"
            and 0 < len(section["text"]["text"]) <= 3000
        )
        return None if good else (400, "invalid_blocks")

    def text(self, said: Any) -> str:
        return str(said["blocks"][1]["text"]["text"])


def mac(key: str, text: str) -> str:
    made = hmac.new(key.encode(), text.encode(), hashlib.sha256)
    return base64.b64encode(made.digest()).decode()
