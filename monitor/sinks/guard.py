"""Which addresses a sink may connect to: public ones, and those that are named.

Asked when a socket is made, after names have been resolved, so that no spelling
of an address and no change of a name between check and use gets around it.
"""

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Source: RFC 6052, the well-known prefix of addresses that wrap an IPv4 one.
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Closed(OSError):
    """The address is not open to this sink.

    Its text is the same for every *address*: aiohappyeyeballs keeps the type of
    several errors only where they read alike. Source: its start_connection, 2.6.
    """

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, "not in allow_networks")
        self.address = address


class OpenFirst(AbstractResolver):
    """Leaves out closed addresses of a name that has open ones.

    Else a name with both kinds would be refused for good whenever the open one
    is down for a moment.
    """

    def __init__(self, resolver: AbstractResolver, allowed: Sequence[Network]) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        return [one for one in found if is_open(one["host"], self._allowed)] or found

    async def close(self) -> None:
        await self._resolver.close()


def sockets(allowed: Sequence[Network]) -> Callable[[AddrInfoType], socket.socket]:
    """Make a socket factory that raises ``Closed`` for what is not open."""

    def guarded(target: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = target
        if not is_open(str(where[0]), allowed):
            raise Closed(str(where[0]))
        return socket.socket(family, kind, protocol)

    return guarded


def is_open(text: str, allowed: Sequence[Network]) -> bool:
    address = _unwrapped(ipaddress.ip_address(text))
    return _public(address) or any(address in network for network in allowed)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _public(address: Address) -> bool:
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (
        address.is_multicast or address.is_reserved or site_local
    )
