"""Events as they are on record."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct


class LoggedData(Struct, kw_only=True):
    """*data* is that of the CloudEvent with this *id*."""

    id: str
    key: str
    type: str
    time: datetime
    sequence: int | None
    traits: Mapping[str, str]
    data: msgspec.Raw
