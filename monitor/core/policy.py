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

ENDED_BY_HAND: Final = frozenset({8, 11, 13})
"""How jobs end where a person wanted it so."""


class Policy(Struct, frozen=True, kw_only=True):
    """*severity* is that of a watch, and overrides those by kind."""

    severity: Severity | None = None
    severities: Mapping[Trouble, Severity] = {}
    overdue_after: timedelta = timedelta(hours=2)
    stalled_after: timedelta = timedelta(hours=2, minutes=5)

    def severity_of(self, trouble: Trouble, status: int | None = None) -> Severity:
        """Say how bad it is; *status* is that of a job that failed."""
        mild = trouble in WARNINGS or status in ENDED_BY_HAND
        usual = Severity.WARNING if mild else Severity.CRITICAL
        return self.severity or self.severities.get(trouble, usual)

    def within(self, options: Options) -> "Policy":
        """Let what a watch says go over what is usual."""
        said = {
            "severity": options.severity,
            "overdue_after": options.overdue_after,
            "stalled_after": options.stalled_after,
        }
        own = {name: value for name, value in said.items() if value is not None}
        return structs.replace(self, **own) if own else self


USUAL: Final = Policy()
