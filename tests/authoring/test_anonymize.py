"""Anonymization: names are hidden everywhere, and one name keeps one stand-in."""

from __future__ import annotations

from typing import Any

from orchestrator.authoring.recording.anonymize import Anonymizer


def anonymized(value: Any, *more: Any) -> Any:
    names = Anonymizer()
    for each in (value, *more):
        names.learn(each)
    return names.replace(value)


ALERT = {
    "title": "alice@acme.com ran mimikatz on WS-042.acme.com as ACME\\alice from 10.20.0.42 to 8.8.4.4",
    "host": {"name": "ws-042", "id": "0123456789abcdef", "address": "10.20.0.42"},
    "user": {"name": "alice", "email": "alice@acme.com", "domain": "ACME"},
    "process": {"command_line": "C:\\Users\\bob.k\\x.exe --from ws-042"},
    "observables": [
        {"type": "host", "value": "ws-042.acme.com", "role": "local"},
        {"type": "address", "value": "8.8.4.4"},
    ],
}


def test_name_has_the_same_stand_in_inside_texts() -> None:
    found = anonymized(ALERT)
    assert found["host"] == {"name": "host-1", "id": "0000000000000001", "address": "10.255.0.2"}
    assert found["user"] == {"name": "user-1", "email": "user-1@corp.example", "domain": "domain-1"}
    assert (
        found["title"]
        == "user-1@corp.example ran mimikatz on host-1.corp.example as domain-1\\user-1 from 10.255.0.2 to 203.0.113.1"
    )
    assert found["process"]["command_line"] == "C:\\Users\\user-2\\x.exe --from host-1"
    assert [each["value"] for each in found["observables"]] == [
        "host-1.corp.example",
        "203.0.113.1",
    ]


def test_no_name_is_left() -> None:
    text = str(anonymized(ALERT)).lower()
    assert not [
        name
        for name in ("alice", "bob", "ws-042", "acme", "10.20", "8.8.4", "0123456789abcdef")
        if name in text
    ]


def test_well_known_accounts_and_special_addresses_are_kept() -> None:
    found = anonymized(
        {
            "user": {"name": "root"},
            "text": "root on 127.0.0.1 and ::1, at 12:30:15 in version 1.2.3.4.5",
        }
    )
    assert found == {
        "user": {"name": "root"},
        "text": "root on 127.0.0.1 and ::1, at 12:30:15 in version 1.2.3.4.5",
    }


def test_secret_is_masked() -> None:
    assert anonymized({"password": "hunter2", "deep": [{"api_key": "abc"}]}) == {
        "password": "**********",
        "deep": [{"api_key": "**********"}],
    }


def test_private_and_public_addresses_stay_distinct() -> None:
    found = anonymized(
        {
            "a": "192.168.7.7",
            "b": "1.1.1.1",
            "c": "fd12::9",
            "d": "2606:4700::1111",
            "e": "203.0.113.9",
        }
    )
    assert found == {
        "a": "10.255.0.2",
        "b": "203.0.113.1",
        "c": "fd00::1",
        "d": "2001:db8::1",
        "e": "203.0.113.2",
    }


def test_short_name_is_not_replaced_inside_words() -> None:
    found = anonymized({"user": {"name": "al"}, "title": "al in all"})
    assert found == {"user": {"name": "user-1"}, "title": "al in all"}


def test_name_learned_in_one_place_is_hidden_everywhere() -> None:
    found = anonymized({"note": "carol was here"}, {"login": "carol"})
    assert found == {"note": "user-1 was here"}


def test_network_is_kept_and_addresses_stay_in_it() -> None:
    names = Anonymizer()
    names.learn_networks("protect: {networks: [10.10.0.0/24, 10.0.0.0/8, 8.8.8.0/24]}")
    found = names.replace(
        {
            "dc": "10.10.0.10",
            "ws": "10.20.1.1",
            "other": "192.168.1.1",
            "dns": "8.8.8.8",
            "us": "10.10.0.0/24",
            "one": "10.10.0.10/32",
        }
    )
    assert found["us"] == "10.10.0.0/24"
    assert found["dc"].startswith("10.10.0.")
    assert found["dc"] != "10.10.0.10"
    assert found["one"] == f"{found['dc']}/32"
    assert found["ws"].startswith("10.255.")
    assert found["dns"].startswith("8.8.8.")
    assert found["other"].startswith("192.168.")
    assert found["other"] != "192.168.1.1"
