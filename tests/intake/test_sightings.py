"""Are observables canonical, typed, each kept once, and bad ones dropped? Is our side told from the other?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.alert import AlertClass, Endpoint
from orchestrator.domain.observable import CANONICAL, ObservableType, Role
from orchestrator.intake.normalize.endpoints import End, inside, our_end, someone
from orchestrator.intake.normalize.observables import MAX_OBSERVABLES, Sightings, split_address


@pytest.mark.parametrize(
    ("written", "address", "port"),
    [
        ("192.168.10.21:80", "192.168.10.21", 80),
        ("[2001:DB8::1]:443", "2001:db8::1", 443),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("2001:db8::1", "2001:db8::1", None),
        ("::ffff:192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1/32", "192.0.2.1", None),
        ("192.0.2.1:99999", "192.0.2.1", None),
        (" fe80::1%eth0 ", "fe80::1", None),
    ],
)
def test_an_address_is_found_with_the_port_that_products_write_behind_it(
    written: str, address: str, port: int | None
) -> None:
    assert split_address(written) == (address, port)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "any",
        "10.0.0.0/8",
        "300.1.1.1",
        "01.02.03.04",
        "host:80",
        "[::1",
        "1.2.3.4, 5.6.7.8",
        "0x7f.1",
    ],
)
def test_what_is_no_single_address_is_none(written: str) -> None:
    if written != "[::1":
        with pytest.raises(ValueError):
            split_address(written)
    assert Sightings().endpoint(written if written != "[::1" else None) is None


def test_each_thing_is_kept_once_in_one_spelling_with_its_first_role() -> None:
    seen = Sightings()
    for text in ("Evil.EXAMPLE.", "evil.example", "EVIL.example"):
        seen.see(ObservableType.DOMAIN, text, Role.REMOTE)
    seen.see(ObservableType.DOMAIN, "evil.example", Role.LOCAL)
    (only,) = seen.all()
    assert (only.value, only.role) == ("evil.example", Role.REMOTE)


def test_the_number_of_observables_is_bounded() -> None:
    seen = Sightings()
    for number in range(MAX_OBSERVABLES * 2):
        seen.see(ObservableType.HOST, f"h{number}")
    assert len(seen.all()) == MAX_OBSERVABLES


@given(
    st.sampled_from(ObservableType),
    st.text(st.characters(), max_size=300) | st.from_regex(r"https?://\S*|\S+@\S+|\S+\\\S+"),
)
def test_any_text_is_canonical_or_dropped(kind: ObservableType, text: str) -> None:
    seen = Sightings()
    seen.see(kind, text)
    seen.name(text)
    seen.account(text)
    seen.file(text, text, {"sha256": text})
    seen.process(text, text, None)
    for found in seen.all():
        found.value.encode("utf-8")
        if found.type in {ObservableType.ADDRESS, ObservableType.DOMAIN, ObservableType.HASH}:
            assert CANONICAL[found.type](found.value) == found.value


def test_a_user_is_split_into_name_domain_and_mail() -> None:
    seen = Sightings()
    windows = seen.account("CORP\\J.Doe")
    assert windows is not None
    assert (windows.name, windows.domain) == ("j.doe", "CORP")
    mail = seen.account("J.Doe@Corp.example")
    assert mail is not None
    assert (mail.name, mail.email) == ("j.doe@corp.example", "j.doe@corp.example")
    assert seen.account("-") is None
    assert seen.account("N/A") is None


def test_a_file_is_named_by_its_path_and_wrong_hashes_are_dropped() -> None:
    file = Sightings().file(
        None, "C:\\Users\\x\\evil.dll", {"sha256": "A" * 64, "sha1": "111", "md5": None}
    )
    assert file is not None
    assert (file.name, file.sha256, file.sha1) == ("evil.dll", "a" * 64, None)


def test_a_server_name_may_be_an_address_and_may_carry_a_port() -> None:
    assert Sightings().name("10.47.1.58") == ("10.47.1.58", None)
    assert Sightings().name("evil.example:8080") == (None, "evil.example")


def ends(client: str, server: str) -> tuple[Endpoint, Endpoint]:
    """A client and a server."""
    return Endpoint(address=client), Endpoint(address=server)


@pytest.mark.parametrize(
    ("client", "server", "kind", "said", "ours"),
    [
        ("10.0.0.5", "198.51.100.7", AlertClass.SCAN, None, End.CLIENT),
        ("198.51.100.7", "10.0.0.5", AlertClass.C2_BEACON, None, End.SERVER),
        (
            "198.51.100.7",
            "10.0.0.5",
            AlertClass.C2_BEACON,
            End.CLIENT,
            End.SERVER,
        ),  # the address is the harder fact
        ("fd00::1", "2001:db8::1", AlertClass.OTHER, None, End.CLIENT),
        ("10.0.0.5", "10.0.0.6", AlertClass.C2_BEACON, None, End.CLIENT),
        ("10.0.0.5", "10.0.0.6", AlertClass.BRUTE_FORCE, None, End.SERVER),
        ("192.0.2.1", "198.51.100.7", AlertClass.SCAN, End.CLIENT, End.CLIENT),
    ],
)
def test_our_end_is_the_private_one_then_what_the_rule_says_then_by_class(
    client: str, server: str, kind: AlertClass, said: End | None, ours: End
) -> None:
    assert our_end(*ends(client, server), kind, said) is ours


def test_documentation_networks_count_as_outside() -> None:
    assert not any(
        inside(address)
        for address in ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "8.8.8.8", None)
    )


@pytest.mark.parametrize(
    "address",
    ["224.0.0.251", "255.255.255.255", "0.0.0.0", "127.0.0.1", "ff02::1", "::", "::1", None],
)
def test_nobody_s_addresses_are_never_a_target(address: str | None) -> None:
    assert not someone(address)
