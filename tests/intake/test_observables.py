"""Observables are canonical, typed and unique; the local end is recognized."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.alert import AlertClass, Endpoint
from orchestrator.domain.observable import CANONICAL, ObservableRole, ObservableType
from orchestrator.intake.normalize.endpoints import End, is_private, is_unicast_host, local_end
from orchestrator.intake.normalize.observable_values import split_address
from orchestrator.intake.normalize.observables import MAX_OBSERVABLES, ObservableCollector
from orchestrator.intake.normalize.omissions import MAX_OMISSIONS


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
def test_address_is_split_from_its_port(written: str, address: str, port: int | None) -> None:
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
        "0x7f.1",
    ],
)
def test_text_that_is_not_an_address_is_dropped(written: str) -> None:
    if written != "[::1":
        with pytest.raises(ValueError):
            split_address(written)
    assert ObservableCollector().add_endpoint(written if written != "[::1" else None) is None


def said(observables: ObservableCollector) -> list[str]:
    """Return the messages of what was left out."""
    return [omission.message for omission in observables.omissions.all()]


def test_list_of_addresses_is_each_address_and_the_first_is_the_endpoint() -> None:
    observables = ObservableCollector()
    end = observables.add_endpoint(
        "198.51.100.7:8080, 10.0.0.1;scanner", role=ObservableRole.REMOTE
    )
    assert end == Endpoint(address="198.51.100.7", port=8080)
    assert [each.value for each in observables.all()] == ["198.51.100.7", "10.0.0.1"]
    assert said(observables) == [
        "'scanner' is not an address",
        "2 addresses; the first counts as the endpoint",
    ]


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (ObservableType.ADDRESS, "198[.]51[.]100[.]7", "198.51.100.7"),
        (ObservableType.ADDRESS, "2001[:]db8[:]:1", "2001:db8::1"),
        (ObservableType.NETWORK, "198(.)51(.)100(.)0/24", "198.51.100.0/24"),
        (ObservableType.DOMAIN, "evil[dot]example", "evil.example"),
        (ObservableType.URL, "hxxps://evil[.]example/a[.]b", "https://evil.example/a.b"),
        (ObservableType.URL, "hXXp[:]//evil.example/", "http://evil.example/"),
        (ObservableType.URL, "http://evil.example/a[.]b", "http://evil.example/a[.]b"),
        (ObservableType.URL, "http://[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        (ObservableType.EMAIL, "a[@]evil[.]example", "a@evil.example"),
        (ObservableType.HOST, "a[.]b", "a[.]b"),
    ],
)
def test_defanged_text_is_read_as_what_it_means(
    kind: ObservableType, written: str, value: str
) -> None:
    observables = ObservableCollector()
    assert observables.add(kind, written) == value
    assert said(observables) == []


def test_unreadable_values_are_said_and_guesses_are_not() -> None:
    observables = ObservableCollector()
    observables.add(ObservableType.ADDRESS, "198.51.100.7 (scanner)")
    observables.add_file(None, None, {"sha256": "111", "md5": "-"})
    observables.add_server_name("evil.example")
    observables.add_user("ann@host")
    observables.add_host(None, "Ann's laptop", None)
    assert said(observables) == [
        "'198.51.100.7 (scanner)' is not an address",
        "'111' is not a sha256",
    ]


@pytest.mark.parametrize("name", ["NA", "null", "none", "Unknown", "any"])
def test_name_that_may_be_a_placeholder_is_no_user_and_said(name: str) -> None:
    observables = ObservableCollector()
    assert observables.add_user(name) is None
    assert observables.add(ObservableType.ADDRESS, name) is None
    assert said(observables) == [f"{name!r} is read as no value"]


def test_dropped_observables_are_counted_by_type() -> None:
    observables = ObservableCollector()
    for number in range(300):
        for _ in range(2):
            observables.add(ObservableType.ADDRESS, f"198.18.{number // 256}.{number % 256}")
    observables.add(ObservableType.HASH, "a" * 64)
    assert len(observables.all()) == MAX_OBSERVABLES
    assert said(observables) == ["256 of 300 addresses kept", "0 of 1 hashes kept"]


def test_omissions_are_bounded_and_counted() -> None:
    observables = ObservableCollector()
    for number in range(100):
        observables.add(ObservableType.ADDRESS, f"address {number}")
    assert len(said(observables)) == MAX_OMISSIONS
    assert said(observables)[-1] == "69 further values are left out"


def test_observable_is_kept_once_in_canonical_spelling_with_its_first_role() -> None:
    observables = ObservableCollector()
    for text in ("Evil.EXAMPLE.", "evil.example", "EVIL.example"):
        observables.add(ObservableType.DOMAIN, text, ObservableRole.REMOTE)
    observables.add(ObservableType.DOMAIN, "evil.example", ObservableRole.LOCAL)
    (only,) = observables.all()
    assert (only.value, only.role) == ("evil.example", ObservableRole.REMOTE)


def test_number_of_observables_is_bounded() -> None:
    observables = ObservableCollector()
    for number in range(MAX_OBSERVABLES * 2):
        observables.add(ObservableType.HOST, f"h{number}")
    assert len(observables.all()) == MAX_OBSERVABLES


@given(
    st.sampled_from(ObservableType),
    st.text(st.characters(), max_size=300) | st.from_regex(r"https?://\S*|\S+@\S+|\S+\\\S+"),
)
def test_any_text_is_canonical_or_dropped(kind: ObservableType, text: str) -> None:
    observables = ObservableCollector()
    observables.add(kind, text)
    observables.add_server_name(text)
    observables.add_user(text)
    observables.add_file(text, text, {"sha256": text})
    observables.add_process(text, text, None)
    for found in observables.all():
        found.value.encode("utf-8")
        if found.type in {ObservableType.ADDRESS, ObservableType.DOMAIN, ObservableType.HASH}:
            assert CANONICAL[found.type](found.value) == found.value


def test_user_is_split_into_name_domain_and_email() -> None:
    observables = ObservableCollector()
    windows = observables.add_user("CORP\\J.Doe")
    assert windows is not None
    assert (windows.name, windows.domain) == ("j.doe", "CORP")
    mail = observables.add_user("J.Doe@Corp.example")
    assert mail is not None
    assert (mail.name, mail.email) == ("j.doe@corp.example", "j.doe@corp.example")
    assert observables.add_user("-") is None
    assert observables.add_user("N/A") is None


def test_file_is_named_by_its_path_and_wrong_hashes_are_dropped() -> None:
    file = ObservableCollector().add_file(
        None, "C:\\Users\\x\\evil.dll", {"sha256": "A" * 64, "sha1": "111", "md5": None}
    )
    assert file is not None
    assert (file.name, file.sha256, file.sha1) == ("evil.dll", "a" * 64, None)


def test_server_name_may_be_an_address_and_have_a_port() -> None:
    assert ObservableCollector().add_server_name("10.47.1.58") == ("10.47.1.58", None)
    assert ObservableCollector().add_server_name("evil.example:8080") == (None, "evil.example")


def ends(client: str, server: str) -> tuple[Endpoint, Endpoint]:
    """Return a client and a server."""
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
def test_local_end_is_private_else_named_by_the_rule_else_by_class(
    client: str, server: str, kind: AlertClass, said: End | None, ours: End
) -> None:
    assert local_end(*ends(client, server), kind, said) is ours


def test_documentation_networks_are_not_private() -> None:
    assert not any(
        is_private(address)
        for address in ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "8.8.8.8", None)
    )


@pytest.mark.parametrize(
    "address",
    ["224.0.0.251", "255.255.255.255", "0.0.0.0", "127.0.0.1", "ff02::1", "::", "::1", None],
)
def test_addresses_without_a_machine_are_no_unicast_hosts(address: str | None) -> None:
    assert not is_unicast_host(address)
