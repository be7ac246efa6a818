"""How quantities and addresses are written in the configuration.

Each reads what a person wrote and gives a value that prints the same way again.
A bad address is never quoted in the complaint: it may hold a password.
"""

import ipaddress
import re
from datetime import timedelta, timezone, tzinfo
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, PlainValidator

from monitor import durations, sizes
from monitor.sizes import Size

_OFFSET: Final = re.compile(r"([+-])([01]\d):([0-5]\d)", re.ASCII)


class Listen(Struct, frozen=True):
    """Where to listen: an address or a name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Only processes of this machine get here."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else durations.parse(str(value))


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _offset(value: object) -> tzinfo:
    if isinstance(value, tzinfo):
        return value
    found = _OFFSET.fullmatch(str(value))
    if found is None:
        raise ValueError(f'{str(value)[:20]!r} is no offset: write it like "+08:00"')
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def offset_text(zone: tzinfo) -> str:
    """Write an offset the way it is read."""
    minutes = (zone.utcoffset(None) or timedelta(0)) // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no valid address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be an http:// or https:// address with a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("must end with the path: no spaces, no ? and no #")
    return url.rstrip("/")


def _listen(value: object) -> Listen:
    if isinstance(value, Listen):
        return value
    host, _, port = str(value).rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    good = host.isprintable() and bracketed == (":" in host) and " " not in host
    if not (host and good and port.isdecimal() and 0 < int(port[:6]) < 1 << 16):
        raise ValueError("must be host:port, like 127.0.0.1:8321 or [::1]:8321")
    return Listen(host, int(port))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Positive = Annotated[Duration, AfterValidator(_positive)]
Bytes = Annotated[Size, PlainValidator(sizes.parse)]
Offset = Annotated[tzinfo, PlainValidator(_offset)]
Url = Annotated[str, AfterValidator(_url)]
Address = Annotated[Listen, PlainValidator(_listen)]
