"""What is asked of JOB, and how the generations of its API take it.

``Ask`` says what, ``Manner`` how it travels: the ESB takes everything as the JSON
body of a POST, the gateways take what only reads as the query of a GET. No
secret ever stands in a query, since logs keep those.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from monitor.core.model import InstanceKey

T = TypeVar("T")

Api = Literal["esb-v2", "esb-v3", "gateway-v3", "gateway-v4"]

Field = str | int | bool | list[int] | list[dict[str, str | int]]


class Ask(Struct, Generic[T], frozen=True):
    """A question, and how to *read* the ``data`` that comes back.

    *name* is what calls are counted under. *read* raises nothing but a
    ``SourceError``. *posted*: it goes as a POST through gateways too. *most*: of an
    answer that is longer, the start is read as if it were whole.
    """

    name: str
    api: str
    fields: Mapping[str, Field]
    read: Callable[[Raw], T]
    posted: bool = False
    most: int | None = None


class Manner(Struct, frozen=True):
    root: str
    end: str = ""
    gateway: bool = False

    def path(self, ask: Ask[Any]) -> str:
        return f"{self.root}{ask.api}{self.end}"


# Source: legacy-bk-paas confapis/job/job.yaml, bk-job jobv3-confapis/job.yaml,
# read 2026-11. The ESB takes a POST for all of them.
_ESB: Final[Mapping[Api, Manner]] = {
    "esb-v2": Manner("/api/c/compapi/v2/job/", "/"),
    "esb-v3": Manner("/api/c/compapi/v2/jobv3/", "/"),
}


def manner(api: Api, *, system: bool) -> Manner:
    esb = _ESB.get(api)
    if esb:
        return esb

    # Source: bk-job bk-api-gateway/v3/resources.yaml, read 2026-11: what reads is
    # GET only, logs of many hosts are POST only.
    version = api.removeprefix("gateway-")
    return Manner(f"/api/{version}/{'system/' if system else ''}", gateway=True)


def scope(scope_type: str, scope_id: str) -> dict[str, Field]:
    """Name a scope as v3 and v4 want it: the id as a string."""
    return {"bk_scope_type": scope_type, "bk_scope_id": scope_id}


def instance(key: InstanceKey) -> dict[str, Field]:
    return {
        "bk_scope_type": key.scope_type,
        "bk_scope_id": key.scope_id,
        "job_instance_id": key.job_instance_id,
    }


def body(ask: Ask[Any], credentials: Mapping[str, str]) -> bytes:
    """Build the body of a POST; *credentials* is empty where a header has them."""
    return msgspec.json.encode({**credentials, **ask.fields})


def query(ask: Ask[Any]) -> str:
    # By hand, since urlencode takes three times as long, at every poll.
    return "&".join([f"{name}={_spelled(value)}" for name, value in ask.fields.items()])


def _spelled(value: Field) -> str:
    if value is True:
        return "true"
    return quote(value, safe="") if isinstance(value, str) else str(value)
