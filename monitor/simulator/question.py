"""What a client asks, wherever it wrote it: parameters, credentials, headers.

Values and readings of them; nothing here knows who answers.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

# bk-job EsbAppScopeReq: what is numbered like this is a set of businesses.
_BUSINESS_SETS: Final = range(8_000_000, 10_000_000)

SCOPE_TYPES: Final = ("biz", "biz_set", "tenant_set")


class Scope(msgspec.Struct, frozen=True):
    """Whose instances are meant: a business, a set of them, or all of a tenant."""

    kind: str
    number: int

    @property
    def fields(self) -> dict[str, str]:
        """The scope as JOB echoes it (bk-job EsbAppScopeDTO)."""
        return {"bk_scope_type": self.kind, "bk_scope_id": str(self.number)}


def scope(number: int, kind: str = "biz") -> Scope:
    """Name a scope; a business with the number of a set is that set."""
    if kind == "biz" and number in _BUSINESS_SETS:
        return Scope("biz_set", number)
    return Scope(kind, number)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the API. *parameters* are of the query, or of the JSON body."""

    parameters: Mapping[str, Any]
    authorization: str | None = None
    username: str | None = None
    """Of the header X-Bk-Username, which counts on ``/system/`` paths alone."""

    tenant: str | None = None
    language: str | None = None

    @property
    def key(self) -> tuple[int, int] | None:
        """The number of the scope and the instance asked about, if both are numbers."""
        number, identifier = self._scope_number, self.number("job_instance_id")
        return None if number is None or identifier is None else (number, identifier)

    @property
    def scope(self) -> Scope | None:
        """The scope by both its parameters, else the business of bk_biz_id."""
        number = self._scope_number
        if number is None:
            return None
        if self.parameters.get("bk_scope_id"):
            return scope(number, str(self.parameters.get("bk_scope_type") or "biz"))
        return scope(number)

    @property
    def _scope_number(self) -> int | None:
        # EsbAppScopeReq: the scope, since 3.5, wins over bk_biz_id.
        named = self.parameters.get("bk_scope_id")
        return _whole(named or self.parameters.get("bk_biz_id"))

    def number(self, name: str) -> int | None:
        return _whole(self.parameters.get(name))

    def text(self, name: str) -> str:
        value = self.parameters.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Read a truth as Spring does; what is not said is false."""
        return self.text(name).lower() in {"true", "1", "on", "yes"}


def _whole(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
