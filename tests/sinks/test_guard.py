"""A sink reaches public addresses, and others only where they are named."""

import socket
from ipaddress import ip_network

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from monitor import clock, errors
from monitor.sinks import guard
from monitor.sinks.webhook import sink as webhook
from monitor.sinks.webhook.config import WebhookConfig
from tests.sinks.messages import an_event
from tests.sinks.receiver import receiving


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_special_addresses_are_closed(address: str) -> None:
    assert not guard.is_open(address, ())


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_open(address: str) -> None:
    assert guard.is_open(address, ())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("fd00::7", "fd00::/8"),
    ],
)
def test_a_named_network_is_open_and_its_neighbours_are_not(
    address: str, network: str
) -> None:
    named = [ip_network(network)]

    assert guard.is_open(address, named)
    assert not guard.is_open("192.168.1.1", named)
    assert not guard.is_open("fe80::1", named)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0x7f000001",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_no_spelling_of_a_closed_address_gets_through(host: str) -> None:
    async with receiving() as receiver:
        url = f"http://{host}:{receiver.port}/hook"
        with pytest.raises(errors.Undelivered, match="add it to allow_networks"):
            await deliver(url)

        assert receiver.deliveries == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1"])
async def test_an_address_that_is_not_written_in_full_is_refused(host: str) -> None:
    async with receiving() as receiver:
        with pytest.raises(errors.Rejected, match="an IP address in full"):
            await deliver(f"http://{host}:{receiver.port}/hook", "127.0.0.0/8")

        assert receiver.deliveries == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_named_address_is_reached_by_every_spelling(host: str) -> None:
    async with receiving() as receiver:
        await deliver(f"http://{host}:{receiver.port}/hook", "127.0.0.0/8")

        assert len(receiver.deliveries) == 1


async def test_closed_addresses_of_a_name_are_left_out_where_others_are_open() -> None:
    names = Names(mixed=["::1", "10.0.0.1"], closed=["::1", "10.9.9.9"])
    resolver = guard.OpenFirst(names, [ip_network("10.0.0.0/24")])

    found = [await resolver.resolve(name) for name in ("mixed", "closed")]

    ips = [[one["host"] for one in addresses] for addresses in found]
    assert ips == [["10.0.0.1"], ["::1", "10.9.9.9"]]


async def deliver(url: str, *networks: str) -> None:
    config = WebhookConfig.model_validate(
        {"name": "x", "kind": "webhook", "url": url, "allow_networks": networks}
    )
    async with webhook.opened(config, now=clock.utc_now) as sink:
        await sink.deliver(an_event())


class Names(AbstractResolver):
    def __init__(self, **names: list[str]) -> None:
        self.names = names

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=ip, port=port, family=family, proto=0, flags=0
            )
            for ip in self.names[host]
        ]

    async def close(self) -> None:
        self.names.clear()
