"""Many things, a page at a time."""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class PageData(Struct, Generic[T], kw_only=True):
    """*next* is what ``after`` must be to get the next page; None: this is the last."""

    items: list[T]
    next: str | None = None
