"""What is expected of an instance, and how bad it is where it does otherwise."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct, structs

from monitor.core.alerts import Name, Stage
from monitor.core.watch import Options, Severity

Trouble = Name | Stage
"""A kind of alert; failed hosts are told apart by how far their step has come."""

WARNINGS: Final = frozenset[Trouble](
    {
        Stage.HIDDEN,
        Name.HOSTS_UNFINISHED,
        Name.JOB_WAITING,
        Name.JOB_STALLED,
        Name.JOB_OVERDUE,
        Name.JOB_GONE,
    }
)
"""What is no emergency, unless somebody says otherwise."""

MARGIN: Final = 1.5
"""How much longer than nearly all past runs one may take: one in twenty always does."""

SHORTEST: Final = timedelta(minutes=5)
"""Until then nobody minds, however short past runs were."""

PAST_RUNS: Final = "past_runs"
"""The reason of what is overdue by a learnt limit."""

ENDED_BY_HAND: Final = frozenset({8, 11, 13})
"""How jobs end where a person wanted it so."""


class Policy(Struct, frozen=True, kw_only=True):
    """*severity* is that of a watch, and overrides those by kind.

    *overdue_percentile*: let past runs say how long a run may take. *learnt*: they
    do; then *overdue_after* moves with each run that ends.
    """

    severity: Severity | None = None
    severities: Mapping[Trouble, Severity] = {}
    overdue_after: timedelta = timedelta(hours=2)
    overdue_percentile: float | None = None
    learnt: bool = False
    stalled_after: timedelta = timedelta(hours=2, minutes=5)

    def severity_of(self, trouble: Trouble, status: int | None = None) -> Severity:
        """Say how bad it is; *status* is that of a job that failed."""
        mild = trouble in WARNINGS or status in ENDED_BY_HAND
        usual = Severity.WARNING if mild else Severity.CRITICAL
        return self.severity or self.severities.get(trouble, usual)

    def within(self, options: Options) -> "Policy":
        """Let what a watch says go over what is usual."""
        said: dict[str, object] = {
            "severity": options.severity,
            "overdue_after": options.overdue_after,
            "stalled_after": options.stalled_after,
        }
        own = {name: value for name, value in said.items() if value is not None}
        if "overdue_after" in own:
            own |= {"overdue_percentile": None, "learnt": False}
        return structs.replace(self, **own) if own else self

    def after_runs_of(self, seconds: float) -> "Policy":
        """Let a run take as long as past runs did, most of which took *seconds*."""
        usual = timedelta(seconds=seconds * MARGIN)
        return structs.replace(self, overdue_after=max(SHORTEST, usual), learnt=True)


USUAL: Final = Policy()
