"""A refusal, as RFC 9457 has it."""

from collections.abc import Sequence

from msgspec import Struct


class ProblemData(Struct, kw_only=True, omit_defaults=True):
    """*detail* says what to do about it; *faults* are lines, where there are several."""

    title: str
    status: int
    detail: str | None = None
    faults: Sequence[str] = ()
