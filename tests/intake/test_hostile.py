"""Any payload yields valid alerts or a refusal, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.alert import Alert, alert_view
from orchestrator.domain.digest import canonical
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.mappings import SHIPPED
from orchestrator.intake.parsers import PRODUCTS, parser_for
from tests.harness.intake_samples import NATIVE, NOW, STORED

READABLE = [product for product in PRODUCTS if product != "generic"]
FOLDERS = {
    "aws_securityhub": "aws_securityhub_asff",
    "guardduty": "aws_guardduty",
    "github": "github_webhook",
    "microsoft_defender": "microsoft_defender_endpoint",
}


def outcome(product: str, payload: Any) -> tuple[Alert, ...]:
    """Return the alerts, each checked, or none where the payload is refused."""
    try:
        alerts = parser_for(product)(payload, NOW)
    except (NotAnAlert, Unparseable) as refusal:
        assert str(refusal).startswith(f"{product}: ")
        assert len(str(refusal)) < 2000
        str(refusal).encode("utf-8")
        return ()
    assert alerts
    for alert in alerts:
        check(alert)
    return alerts


def check(alert: Alert) -> None:
    """Assert what is true of every alert."""
    shown = alert_view(
        alert, alert_id="a", incident_id="i", source="s", product="p", raw_sha256="0"
    )
    text = canonical(shown).decode()
    assert len(text) < 3_000_000
    assert all(len(value) <= 4096 and "\x00" not in value for value in _strings(shown))
    assert 0 <= alert.severity <= 6
    for observable in alert.observables:
        if observable.type is ObservableType.ADDRESS:
            assert CANONICAL[observable.type](observable.value) == observable.value


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


_HOSTILE_TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "\x00",
            "\ud800",
            "\u202e",
            "x" * 5000,
            "192.168.10.21:80",
            "[::1",
            "http://[",
            "http://a:99999999/",
            "a" * 70 + ".b",
        ),
        *(
            "${{ alert.host.id }}",
            "{{7*7}}",
            "'; DROP TABLE alerts; --",
            '["a"]',
            "xn--" + "\u00e9" * 60,
            "1e400",
            "Ⅷ",
            "٣",
            "a@b",
            "\\",
            "T1071.001",
        ),
        *(
            "[2001:db8::1]:443",
            "0.0.0.0/0",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "C:\\x\\y",
            "%s%s%n",
            "true",
            "resolved",
            "alert",
        ),
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    _HOSTILE_TEXTS,
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("product", READABLE)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(payload=_JSON)
def test_arbitrary_json_yields_alerts_or_a_refusal(product: str, payload: Any) -> None:
    outcome(product, payload)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in entries:
        found += _paths(item, (*path, key))
    return found


def _samples(product: str) -> list[Any]:
    stored = sorted((STORED / FOLDERS.get(product, product)).glob("*.json"))[:40]
    return [json.loads(path.read_text("utf-8")) for path in stored] + (
        [NATIVE[product]] if product in NATIVE else []
    )


def _mutate(sample: Any, path: tuple[Any, ...], value: Any, *, drop: bool) -> Any:
    mutated = copy.deepcopy(sample)
    place = mutated
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return mutated


@pytest.mark.parametrize("product", READABLE)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_real_alert_with_mutated_fields_yields_alerts_or_a_refusal(
    product: str, data: st.DataObject
) -> None:
    samples = _samples(product)
    if not samples:
        pytest.skip(f"no stored samples of {product}: {STORED} is missing")
    sample = data.draw(st.sampled_from(samples))
    for _ in range(data.draw(st.integers(1, 3))):
        if paths := _paths(sample):
            sample = _mutate(
                sample,
                data.draw(st.sampled_from(paths)),
                data.draw(_JSON),
                drop=data.draw(st.booleans()),
            )
    outcome(product, sample)


@pytest.mark.parametrize("product", NATIVE)
def test_any_field_of_a_native_alert_may_be_missing_or_of_any_type(product: str) -> None:
    values: list[Any] = [
        None,
        True,
        -1,
        2**64 - 1,
        1.5,
        "",
        "x" * 5000,
        "\ud800\x00",
        [],
        {},
        [[]],
        [{}],
        {"a": 1},
        ["a", None],
    ]
    for path in _paths(NATIVE[product]):
        outcome(product, _mutate(NATIVE[product], path, None, drop=True))
        for value in values:
            outcome(product, _mutate(NATIVE[product], path, value, drop=False))


@pytest.mark.parametrize("product", NATIVE)
def test_extra_fields_change_nothing(product: str) -> None:
    extended = {**NATIVE[product], "zzz": {"new": ["in", "the", "next", "version"]}}
    known, seen = outcome(product, NATIVE[product]), outcome(product, extended)
    assert [alert.title for alert in known] == [alert.title for alert in seen]


def test_every_shipped_product_is_tested() -> None:
    assert set(READABLE) >= set(SHIPPED)
