"""What may be configured about each kind of alert: how bad it is, and from when on."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from monitor.settings.notation import Duration
from monitor.settings.section import Section

Level = Literal["critical", "warning", "none"]
"""``none``: it is recorded, and told to nobody."""

NONE: Final = "none"


class KindSettings(Section):
    for_: Annotated[Duration, Field(alias="for")] = timedelta(0)
    """How long it must hold before anybody is told. 0s: not at all."""


class CriticalSettings(KindSettings):
    severity: Level = "critical"
    """How bad it is; ``none``: recorded, and told to nobody."""


class WarningSettings(KindSettings):
    severity: Level = "warning"
    """How bad it is; ``none``: recorded, and told to nobody."""


class JobFailedSettings(KindSettings):
    severity: Level | None = None
    """Null: a warning where a person ended the job (8, 11, 13), else critical."""


class StageSettings(Section):
    early: Level = "critical"
    """While the step runs. As bad as later: a failed host is failed for good."""

    final: Level = "critical"
    """The step is over."""

    hidden: Level = "warning"
    """Its errors are ignored, so that the job may succeed all the same."""


class HostsFailedSettings(KindSettings):
    """Both thresholds must be reached."""

    at_least: Annotated[int, Field(ge=1)] = 1
    """Failed hosts of a step. 1: every failed host is somebody's problem."""

    percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0
    """Of the step's hosts. 0: the count alone decides."""

    severity: StageSettings = StageSettings()
