"""Own infrastructure: found in the files of the operating system, each read independently."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.domain.observable import ObservableType
from orchestrator.policy.stops.self_protection import (
    InfrastructureItem,
    SystemFiles,
    find_machine_addresses,
    resolve_hosts,
)

FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""
ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
INET6 = "20010db8000000000000000000000007 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n"
ROUTES6 = (
    f"{'0' * 32} 00 {'0' * 32} 00 20010db8{'0' * 23}1 00000400 00000001 00000000 00000003 eth0\n"
)


def gateway(address: bytes, flags: str = "0003", destination: str = "00000000") -> str:
    return f"eth0\t{destination}\t{int.from_bytes(address, sys.byteorder):08X}\t{flags}\t0\t0\t0\t00000000\n"


@pytest.fixture
def files(tmp_path: Path) -> SystemFiles:
    found = SystemFiles(
        *(tmp_path / name for name in ("fib", "inet6", "route", "route6", "resolv"))
    )
    found.ipv4_addresses.write_text(FIB)
    found.ipv6_addresses.write_text(INET6)
    found.ipv4_routes.write_text(
        ROUTES + gateway(bytes([192, 0, 2, 1])) + gateway(bytes(4), "0001", "000200C0")
    )
    found.ipv6_routes.write_text(ROUTES6)
    found.resolvers.write_text(
        "# made by hand\nsearch corp.example\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\n"
    )
    return found


def values(found: tuple[InfrastructureItem, ...]) -> dict[str, str]:
    return {each.value: each.why for each in found}


def test_addresses_gateways_and_resolvers_are_found_without_loopback(
    files: SystemFiles,
) -> None:
    assert values(find_machine_addresses(files)) == {
        "192.0.2.7": "an address of this machine",
        "2001:db8::7": "an address of this machine",
        "192.0.2.1": "a default gateway",
        "2001:db8::1": "a default gateway",
        "192.0.2.53": "a resolver",
    }


@pytest.mark.parametrize(
    "broken", ["ipv4_addresses", "ipv6_addresses", "ipv4_routes", "ipv6_routes", "resolvers"]
)
def test_an_unreadable_file_affects_only_its_own_entries(files: SystemFiles, broken: str) -> None:
    whole = set(find_machine_addresses(files))
    path: Path = getattr(files, broken)
    path.unlink()
    path.mkdir()
    left = set(find_machine_addresses(files))
    assert left < whole
    assert len(left) >= len(whole) - 1


def test_garbage_in_a_file_is_ignored(files: SystemFiles) -> None:
    files.ipv4_routes.write_text("Iface\neth0\tzz\tzz\tzz\n")
    files.ipv6_addresses.write_text("not hex\n")
    assert set(values(find_machine_addresses(files))) == {"192.0.2.7", "2001:db8::1", "192.0.2.53"}


async def test_a_host_is_protected_by_its_name_and_as_a_domain() -> None:
    found = await resolve_hosts(
        [
            ("Temporal.Corp.Invalid.", "Temporal"),
            ("db", "the database"),
            ("[2001:db8::9]", "x"),
            ("127.0.0.1", "x"),
        ]
    )
    assert [(each.type, each.value) for each in found] == [
        (ObservableType.HOST, "temporal.corp.invalid"),
        (ObservableType.DOMAIN, "temporal.corp.invalid"),
        (ObservableType.HOST, "db"),
        (ObservableType.ADDRESS, "2001:db8::9"),
    ]


async def test_a_mapped_address_is_found_in_its_plain_form() -> None:
    assert [each.value for each in await resolve_hosts([("::ffff:192.0.2.9", "x")])] == [
        "192.0.2.9"
    ]
