"""Do stand-ins hide people and machines, and stay the same for the same one wherever it stands?"""

from __future__ import annotations

from typing import Any

from orchestrator.authoring.recording.anonymize import Anonymizer


def told(value: Any, *more: Any) -> Any:
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


def test_the_same_name_has_the_same_stand_in_also_inside_of_texts() -> None:
    found = told(ALERT)
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


def test_nothing_of_the_names_is_left() -> None:
    text = str(told(ALERT)).lower()
    assert not [
        name
        for name in ("alice", "bob", "ws-042", "acme", "10.20", "8.8.4", "0123456789abcdef")
        if name in text
    ]


def test_accounts_of_every_machine_and_addresses_of_nobody_stay_as_they_are() -> None:
    found = told(
        {
            "user": {"name": "root"},
            "text": "root on 127.0.0.1 and ::1, at 12:30:15 in version 1.2.3.4.5",
        }
    )
    assert found == {
        "user": {"name": "root"},
        "text": "root on 127.0.0.1 and ::1, at 12:30:15 in version 1.2.3.4.5",
    }


def test_what_looks_like_a_secret_is_masked() -> None:
    assert told({"password": "hunter2", "deep": [{"api_key": "abc"}]}) == {
        "password": "**********",
        "deep": [{"api_key": "**********"}],
    }


def test_addresses_inside_and_outside_go_on_being_told_apart() -> None:
    found = told(
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


def test_a_short_name_is_not_looked_for_inside_of_words_and_texts() -> None:
    found = told({"user": {"name": "al"}, "title": "al in all"})
    assert found == {"user": {"name": "user-1"}, "title": "al in all"}


def test_a_name_that_was_met_in_one_place_is_hidden_in_all_others() -> None:
    found = told({"note": "carol was here"}, {"login": "carol"})
    assert found == {"note": "user-1 was here"}


def test_a_network_stays_and_who_lies_in_it_goes_on_doing_so() -> None:
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
