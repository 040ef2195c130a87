"""An administrator can map any product; a wrong mapping is named, and its bounds hold."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.alert import Alert, Severity
from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import ObservableRole
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.mapping import Mapping, check_mapping
from orchestrator.intake.mappings import SHIPPED
from orchestrator.intake.parsers import PARSERS, PRODUCTS, parser_for
from tests.harness.intake_samples import NOW, load

MINIMAL: dict[str, Any] = {"title": "name"}


def parse(mapping: dict[str, Any], payload: Any) -> tuple[Alert, ...]:
    """Return the alerts that a configured mapping finds."""
    return parser_for("acme", check_mapping(mapping))(payload, NOW)


def test_mapping_needs_a_title_only() -> None:
    (alert,) = parse(MINIMAL, {"name": "Odd login", "other": [1]})
    assert (alert.title, alert.alert_class, alert.severity, alert.time) == (
        "Odd login",
        "other",
        Severity.UNKNOWN,
        NOW,
    )
    assert alert.dedup_key.startswith("sha256:")
    assert parse(MINIMAL, {"other": [1], "name": "Odd login"})[0].dedup_key == alert.dedup_key
    assert parse(MINIMAL, {"other": [2], "name": "Odd login"})[0].dedup_key != alert.dedup_key


def test_batches_conditions_and_constants() -> None:
    mapping = {
        "alerts": "data.items",
        "when": "kind == 'alert'",
        "title": "t",
        "dedup_key": "id",
        "class": "'malware'",
    }
    payload = {
        "data": {
            "items": [
                {"kind": "alert", "t": "a", "id": 7},
                {"kind": "log", "t": "b"},
                {"kind": "alert", "t": "c", "id": 8},
            ]
        }
    }
    alerts = parse(mapping, payload)
    assert [(alert.dedup_key, alert.alert_class) for alert in alerts] == [
        ("7", "malware"),
        ("8", "malware"),
    ]
    with pytest.raises(NotAnAlert, match="`when`"):
        parse(mapping, {"data": {"items": [{"kind": "log"}]}})
    with pytest.raises(Unparseable, match=r"acme: \$\[data.items\] is missing"):
        parse(mapping, {"data": {}})


def test_missing_title_names_the_expression() -> None:
    with pytest.raises(Unparseable, match=r"acme: \$\[name\] is missing; does the mapping fit"):
        parse(MINIMAL, {"title": "x"})
    with pytest.raises(
        Unparseable, match=r"\$\[name\] is an object where text \(the title\) was expected"
    ):
        parse(MINIMAL, {"name": {}})


@pytest.mark.parametrize(
    ("mapping", "value", "severity"),
    [
        ({"severity_map": {"Sev1": 5}}, "SEV1", 5),
        ({"severity_map": {"10": 6}}, 10, 6),
        ({"severity_scale": {"from": [0, 100]}}, 0, 1),
        ({"severity_scale": {"from": [0, 100]}}, 47, 3),
        ({"severity_scale": {"from": [0, 100]}}, "99", 5),
        ({"severity_scale": {"from": [0, 100]}}, -3, 1),
        ({"severity_scale": {"from": [0, 10]}}, 1e300, 5),
        ({}, "HIGH", 4),
        ({}, 2, 2),
        ({}, 7, 0),
        ({}, "odd", 0),
        ({"severity_default": 3}, "odd", 3),
        ({"severity_default": 3}, None, 3),
    ],
)
def test_severities_by_map_scale_word_and_default(
    mapping: dict[str, Any], value: object, severity: int
) -> None:
    assert (
        parse({**MINIMAL, "severity": "s", **mapping}, {"name": "x", "s": value})[0].severity
        == severity
    )


def test_class_is_mapped_or_known_and_never_free_text() -> None:
    mapping = {**MINIMAL, "class": "c", "class_map": {"Weird": "insider"}, "class_default": "scan"}
    assert [
        parse(mapping, {"name": "x", "c": word})[0].alert_class
        for word in ("WEIRD", "phishing", "made_up", None)
    ] == [*("insider", "phishing", "scan", "scan")]


def test_every_field_is_mapped() -> None:
    mapping = {
        "title": "t",
        "rule": "r",
        "time": "at",
        "techniques": "ttp",
        "resolved": "over",
        "host_id": "h.id",
        "host_name": "h.name",
        "host_address": "h.ip",
        "user": "u",
        "user_domain": "'CORP'",
        "local_address": "h.ip",
        "remote_address": "ip",
        "remote_domain": "name",
        "remote_port": "port",
        "url": "url",
        "file_name": "f",
        "file_path": "p",
        "file_sha256": "sha",
        "process_name": "proc",
        "process_command_line": "cmd",
        "process_pid": "pid",
        "observables": [
            {"path": "mails", "type": "email", "role": "subject"},
            {"path": "bad", "type": "address"},
        ],
    }
    payload = {
        "t": "T",
        "r": 17,
        "at": 1739539623,
        "ttp": ["attack.t1059.001", "nothing"],
        "over": "TRUE",
        "h": {"id": "ABC", "name": "WS-1.corp.example", "ip": ["10.1.1.1", "fe80::1"]},
        "u": "J.Doe",
        "ip": "203.0.113.7:8443",
        "port": None,
        "name": "Evil.example.",
        "url": "HTTPS://Evil.example/a#b",
        "f": "x.exe",
        "p": "/srv/x.exe",
        "sha": "AB" * 32,
        "proc": "x",
        "cmd": "x\x00 -y",
        "pid": "42",
        "mails": ["A@Corp.example", "none"],
        "bad": ["not an address", {}, None],
    }
    (alert,) = parse(mapping, payload)
    shown = alert.model_dump(mode="json", exclude={"dedup_key", "observables", "fingerprint"})
    host = {
        "id": "abc",
        "name": "ws-1.corp.example",
        "address": "10.1.1.1",
        "kind": "unknown",
        "critical": False,
        "tags": [],
    }
    assert shown == {
        "title": "T",
        "severity": 0,
        "alert_class": "other",
        "rule": "17",
        "time": "2025-02-14T13:27:03Z",
        "techniques": ["T1059.001"],
        "host": host,
        "user": {"name": "j.doe", "domain": "CORP", "email": None, "critical": False, "tags": []},
        "remote": {"address": "203.0.113.7", "domain": "evil.example", "port": 8443},
        "local": {"address": "10.1.1.1", "domain": None, "port": None},
        "file": {
            "name": "x.exe",
            "path": "/srv/x.exe",
            "sha256": "ab" * 32,
            "sha1": None,
            "md5": None,
        },
        "process": {"name": "x", "command_line": "x\ufffd -y", "pid": 42},
        "url": "https://evil.example/a",
        "resolved": True,
        "incomplete": [
            {
                "field": "$[bad][0]",
                "reason": "unreadable",
                "message": "'not an address' is not an address",
            }
        ],
    }
    assert {observable.value: observable.role for observable in alert.observables}[
        "A@corp.example".lower()
    ] is ObservableRole.SUBJECT


def test_alert_cannot_claim_criticality_or_kind() -> None:
    with pytest.raises(Invalid, match="host_critical: unknown field"):
        check_mapping({**MINIMAL, "host_critical": "critical"})


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "title: is missing"),
        ("text", "document: "),
        ({"title": "a..b"}, "title: JMESPath 'a..b', character 3"),
        ({"title": "a[?b"}, "title: JMESPath 'a[?b', character 5"),
        ({"title": "#"}, "title: JMESPath '#', character 1"),
        ({"title": ""}, "title: "),
        ({"title": "x" * 1025}, "title: "),
        (
            {"title": "nope(a)"},
            "title: JMESPath 'nope(a)', character 1: unknown function nope()",
        ),
        ({"title": "a.b[?contains(x)]"}, "character 6: contains() takes 2 arguments, not 1"),
        ({"title": "[?" * 500}, "title: JMESPath"),
        (
            {**MINIMAL, "severty": "x"},
            "severty: unknown field; the fields are alerts, when",
        ),
        ({**MINIMAL, "severity_map": {"a": 7}}, "severity_map.a: "),
        ({**MINIMAL, "severity_map": {"a": 0}}, "severity_map.a: "),
        ({**MINIMAL, "severity_scale": {"from": [5, 5]}}, "severity_scale: the scale must rise"),
        ({**MINIMAL, "class_map": {"a": "Not A Class"}}, "class_map.a: "),
        ({**MINIMAL, "class_default": "x; y"}, "class_default: "),
        ({**MINIMAL, "observables": [{"path": "a", "type": "phone"}]}, "observables.0.type: "),
        (
            {**MINIMAL, "observables": [{"path": "a(", "type": "host"}]},
            "observables.0.path: JMESPath 'a('",
        ),
        ({**MINIMAL, "observables": [{"path": "a", "type": "host"}] * 65}, "observables: "),
    ],
)
def test_wrong_mapping_names_the_field_and_the_character(mapping: Any, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_mapping(mapping)
    assert says in str(caught.value)
    assert str(caught.value).startswith("mapping: ")


@pytest.mark.parametrize(
    "expression",
    [
        "abs(x)",
        "sort_by(x, &y)",
        "join('', x)",
        "max(x)",
        "sum(x)",
        "avg(x)",
        "x[::0]",
        "to_number(x)",
        "sort(x)",
    ],
)
def test_expression_that_fails_on_a_payload_finds_nothing(expression: str) -> None:
    values: tuple[Any, ...] = ("text", [1, "a", None], [], {}, [{"y": 1}, {"y": "z"}, {}], -1)
    for value in values:
        (alert,) = parse({**MINIMAL, "rule": expression}, {"name": "t", "x": value})
        assert alert.title == "t"


def test_mapping_survives_the_store() -> None:
    for load_mapping in SHIPPED.values():
        mapping = load_mapping()
        assert check_mapping(mapping.model_dump(mode="json", by_alias=True)) == mapping
        assert Mapping.model_validate_json(mapping.model_dump_json(by_alias=True)) == mapping


def test_known_products_are_found_and_unknown_ones_get_a_guess() -> None:
    for product in PRODUCTS[:-1]:
        assert parser_for(product)
    assert set(PARSERS) | set(SHIPPED) | {"generic"} == set(PRODUCTS)
    with pytest.raises(Invalid, match="needs a mapping"):
        parser_for("generic")
    with pytest.raises(Invalid, match="did you mean 'suricata'"):
        parser_for("suricatta")
    assert parser_for("suricata", check_mapping(MINIMAL))({"name": "x"}, NOW)[0].title == "x"


@pytest.mark.parametrize(
    ("folder", "name", "mapping", "expected"),
    [
        (
            "wiz",
            "032",
            {
                "title": "sourceRule.name",
                "dedup_key": "join('/', [id, status])",
                "severity": "severity",
            },
            {"severity": 4, "title": "Alert Name"},
        ),
        (
            *("thinkst_canary", "023"),
            {
                "title": "Description",
                "dedup_key": "IncidentKey",
                "time": "Timestamp",
                "remote_address": "SourceIP",
                "severity_default": 4,
            },
            {"remote.address": "123.123.123.123", "severity": 4, "time.year": 2024},
        ),
        (
            *("microsoft_defender_xdr", "046"),
            {
                "title": "properties.Title",
                "dedup_key": "properties.AlertId",
                "severity": "properties.Severity",
                "techniques": "properties.AttackTechniques",
            },
            {"severity": 4, "techniques": ("T1218", "T1218.010", "T1218.011")},
        ),
        (
            *("proofpoint_tap", "006"),
            {
                "title": "subject",
                "dedup_key": "messageID",
                "severity": "phishScore",
                "severity_scale": {"from": [0, 100]},
                "class": "'phishing'",
            },
            {"alert_class": "phishing", "severity": 2, "time.year": 2026},
        ),
        (
            *("gcp_scc", "001"),
            {
                "title": "finding.category",
                "severity": "finding.severity || finding.sourceProperties.detectionPriority",
                "class_map": {"malware: bad ip": "malware"},
                "class": "finding.category",
            },
            {"severity": 4, "alert_class": "malware"},
        ),
    ],
)
def test_unsupported_products_are_mapped_in_a_few_lines(
    folder: str, name: str, mapping: dict[str, Any], expected: dict[str, Any]
) -> None:
    (alert,) = parse(mapping, load(folder, name))
    for path, wanted in expected.items():
        value: Any = alert
        for part in path.split("."):
            value = getattr(value, part)
        assert value == wanted, path


def test_field_that_cannot_be_read_is_said_with_its_path() -> None:
    mapping = {
        "dedup_key": "id",
        "title": "t",
        "severity": "level",
        "time": "at",
        "remote_address": "peer.ip",
    }
    payload = {"id": 1, "t": "T", "level": "sev-two", "at": "yesterday", "peer": {"ip": "a (b)"}}
    (alert,) = parse(mapping, payload)
    assert [str(each) for each in alert.incomplete] == [
        "$[level]: 'sev-two' is not a severity",
        "$[at]: 'yesterday' is not a time",
        "$[peer.ip]: 'a (b)' is not an address",
    ]
    (readable,) = parse(mapping, {**payload, "level": 3, "at": None, "peer": {"ip": "-"}})
    assert readable.incomplete == ()


def test_alerts_of_one_batch_do_not_share_what_they_leave_out() -> None:
    bad, good = {"t": "A", "ip": "x y"}, {"t": "B", "ip": "198.51.100.7"}
    first, second = parse({"title": "t", "remote_address": "ip"}, [bad, good])
    assert (len(first.incomplete), second.incomplete) == (1, ())


def test_all_addresses_of_a_long_list_are_counted() -> None:
    mapping = {"title": "t", "observables": [{"path": "ips[]", "type": "address"}]}
    ips = [f"198.18.{number // 256}.{number % 256}" for number in range(300)]
    (alert,) = parse(mapping, {"t": "T", "ips": ips})
    assert len(alert.observables) == 256
    assert [each.message for each in alert.incomplete] == ["256 of 300 addresses kept"]


def test_report_of_an_end_has_a_key_of_its_own_and_the_fingerprint_of_its_start() -> None:
    mapping = {"dedup_key": "id", "title": "t", "resolved": "over"}
    start, end = parse(mapping, [{"id": 7, "t": "T"}, {"id": 7, "t": "T", "over": True}])
    assert (start.dedup_key, end.dedup_key, end.fingerprint) == ("7", "7/resolved", "7")
