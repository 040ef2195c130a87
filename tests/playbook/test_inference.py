"""Type inference over expressions, and the mistakes that it finds."""

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.alert import Alert, Severity, alert_view, with_age
from orchestrator.playbook.language.evaluate import ExpressionError, evaluate, evaluate_condition
from orchestrator.playbook.language.infer import infer, infer_text
from orchestrator.playbook.language.types import (
    ANY,
    BOOL,
    INT,
    NULL,
    NUMBER,
    STRING,
    ListOf,
    ObjectOf,
    Type,
    alert_type,
    fits,
    from_schema,
    nullable,
    text_of,
    union,
    without_null,
)

NAMES: dict[str, Type] = {
    "alert": alert_type(),
    "n": INT,
    "x": NUMBER,
    "any": ANY,
    "maybe": nullable(STRING),
    "texts": ListOf(STRING),
    "open": ObjectOf({"a": INT}, more=True),
    "either": union((INT, STRING)),
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("alert.severity", INT),
        ("alert.host", alert_type().fields["host"]),
        ("alert.host.name", nullable(STRING)),
        ("alert.observables[0].value", STRING),
        ("alert.techniques | first", nullable(STRING)),
        ("alert.observables | map('value')", ListOf(STRING)),
        ("n + 1", INT),
        ("n / 2", NUMBER),
        ("n + x", NUMBER),
        ("-n", INT),
        ("'a' ~ n", STRING),
        ("n > 1 and not (n == 2)", BOOL),
        ("1 if n > 1 else none", nullable(INT)),
        ("maybe | default('x')", STRING),
        ("any.anything.at[0].all", ANY),
        ("open.b", ANY),
        ("open[maybe]", ANY),
        ("[n, 'a']", ListOf(union((INT, text_of("a"))))),
        ("{'a': n}.a", INT),
        ("texts | sort | unique", ListOf(STRING)),
        ("texts[:2]", ListOf(STRING)),
        ("maybe[:2]", STRING),
        ("'abc'[1:]", STRING),
        ("alert.age > '2h' | duration", BOOL),
        ("maybe is defined", BOOL),
    ],
)
def test_the_type_of_an_expression(source: str, expected: object) -> None:
    assert infer(source, NAMES) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("alert[maybe]", "the name of the field must be a literal"),
        ("texts.a", "a list has no such field"),
        ("n.a", "a whole number has no such field"),
        ("texts['a']", "a list has no such field"),
        ("n in ['a']", "a whole number is never in a list of 'a'"),
        ("n in n", "is never in"),
        ("n ~ none", "null has no text"),
        ("n and true", "`and` needs true or false"),
        ("1 if n else 2", "`if` needs true or false"),
        ("either | lower", "the filter 'lower' takes string"),
        ("alert.observables | map('valu')", "unknown field 'valu'"),
        ("alert.observables | where('typ', 'x')", "unknown field 'typ'"),
        ("alert.severity_name == 'hi'", "never equals 'hi'"),
        ("maybe > 3", "`>` between a text or null and a whole number"),
        ("maybe + 1", "`+` between"),
        ("n[:2]", "a slice of a whole number"),
        ("texts['a':]", "the bound of a slice is 'a'"),
        ("alert.age > '2h'", "write the seconds of a duration as `'2h' | duration`"),
        ("alert.title | matches(alert.title)", "is not a literal; write the text itself"),
        ("alert.title | matches('a(b')", "missing ); add the )"),
        ("alert.title | matches('[z-a]')", "column 2 of the pattern"),
        ("[alert] | where('host.nam', 'x')", "unknown field 'nam'"),
        ("[alert] | map('host.nam')", "unknown field 'nam'"),
        ("texts | join(1)", "the argument 'separator' of the filter 'join' is a whole number"),
    ],
)
def test_certain_mistake_is_refused(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        infer(source, NAMES)
    assert message in str(caught.value)


def test_a_whole_value_keeps_its_type_and_a_mixed_text_is_text() -> None:
    assert infer_text("${{ n }}", NAMES) == INT
    assert infer_text("${{ n }} ", NAMES) == STRING
    assert infer_text("plain", NAMES) == STRING


def test_types_come_from_json_schema() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"anyOf": [{"$ref": "#/$defs/Thing"}, {"type": "null"}]},
            "b": {"type": "array", "items": {"enum": ["x", "y"], "type": "string"}},
            "c": {},
            "d": {"const": "z"},
        },
        "$defs": {
            "Thing": {
                "type": "object",
                "properties": {"again": {"$ref": "#/$defs/Thing"}, "n": {"type": "number"}},
            }
        },
    }
    found = from_schema(schema)
    assert found == ObjectOf(
        {
            "a": nullable(ObjectOf({"again": ANY, "n": NUMBER}, more=True)),
            "b": ListOf(text_of("x", "y")),
            "c": ANY,
            "d": text_of("z"),
        }
    )


def test_null_fits_and_other_types_do_not() -> None:
    assert fits(nullable(STRING), STRING)
    assert fits(INT, NUMBER)
    assert not fits(NUMBER, INT)
    assert not fits(union((STRING, INT)), STRING)
    assert not fits(ListOf(INT), ListOf(STRING))
    assert not fits(text_of("a"), text_of("b"))
    assert fits(ObjectOf({"a": INT}), ObjectOf({"a": NUMBER, "b": STRING}))
    assert not fits(ObjectOf({"a": STRING}), ObjectOf({"a": NUMBER}))
    assert not fits(ObjectOf({"c": INT}), ObjectOf({"a": INT}))
    assert without_null(nullable(INT)) == INT
    assert union((STRING, text_of("a"))) == STRING
    assert union((ANY, NULL)) == ANY


def test_the_alert_type_is_what_a_playbook_sees() -> None:
    alert = Alert(dedup_key="k", title="t", severity=Severity.HIGH, time="2024-01-01T00:00:00Z")  # type: ignore[arg-type]
    seen = alert_view(alert, alert_id="a", incident_id="i", source="s", product="p", raw_sha256="0")
    assert alert_type().fields.keys() == with_age(seen, alert.time).keys()
    assert (
        evaluate_condition(
            "alert.severity >= 4 and alert.class == 'other' and alert.host is none", {"alert": seen}
        )
        is True
    )


SOURCES = st.lists(
    st.sampled_from(
        [
            "n",
            "x",
            "any",
            "maybe",
            "texts",
            "open",
            "either",
            ".a",
            "[0]",
            "'a'",
            "1",
            "+",
            "~",
            "==",
            "<",
            " in ",
            " and ",
            "not ",
            "|length",
            "|first",
            "|default(1)",
        ]
    ),
    min_size=1,
    max_size=9,
).map("".join)


@settings(deadline=None)
@given(SOURCES)
def test_inference_raises_only_expression_errors(source: str) -> None:
    with contextlib.suppress(ExpressionError):
        infer(source, NAMES)


VALUES = {
    "n": 3,
    "x": 0.5,
    "any": {"a": 1},
    "maybe": "t",
    "texts": ["a"],
    "open": {"a": 1},
    "either": "e",
}


@settings(deadline=None)
@given(SOURCES)
def test_inferred_type_is_that_of_the_result(source: str) -> None:
    names = {name: kind for name, kind in NAMES.items() if name != "alert"}
    try:
        kind = infer(source, names)
        result = evaluate("${{ " + source + " }}", VALUES)
    except ExpressionError:
        return
    assert fits(_type_of(result), kind)


def _type_of(value: object) -> Type:
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return NUMBER
        case str():
            return STRING
        case None:
            return NULL
        case _:
            return ANY


def test_expressions_and_plans_import_nothing_with_side_effects() -> None:
    pure = ", ".join(
        f"orchestrator.playbook.{name}"
        for name in ("language.evaluate", "plan", "language.durations", "compile.results")
    )
    forbidden = ("httpx", "sqlmodel", "fastapi", "connectors", "ruamel.yaml", "orchestrator.store")
    program = f"import sys, {pure}; print([name for name in {forbidden} if name in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
