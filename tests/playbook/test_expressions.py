"""The `${{ }}` language: typed, strict, bounded; data is never evaluated."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.language.evaluate import (
    ExpressionError,
    evaluate,
    evaluate_condition,
    evaluate_text,
)
from orchestrator.playbook.language.filters import FILTERS
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.values import MAX_ITEMS, MAX_TEXT

SCOPE: dict[str, Any] = {
    "alert": {
        "title": "Beacon to EVIL",
        "severity": 4,
        "host": {"name": "ws-042", "critical": False, "tags": ["lab", "pci"]},
        "user": None,
        "observables": [
            {"type": "address", "value": "198.51.100.7"},
            {"type": "domain", "value": "evil.example"},
        ],
        "parts": [{"host": {"name": "a"}}, {"host": None}, {"host": {"name": "b"}}],
        "items": "not a method",
    },
    "n": 3,
    "ratio": 0.5,
    "yes": True,
    "nothing": None,
    "empty": [],
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("${{ n }}", 3),
        ("${{ nothing }}", None),
        ("${{ yes }}", True),
        ("${{ alert.host.tags }}", ["lab", "pci"]),
        (
            "n is ${{ n }}, yes is ${{ yes }}, ratio is ${{ ratio }}",
            "n is 3, yes is true, ratio is 0.5",
        ),
        ("${{ alert.host.tags }}!", '["lab","pci"]!'),
        ("${{ {'b': n, 'a': [yes]} }}!", '{"a":[true],"b":3}!'),
        ("${{ {'a': {'b': n}} }}", {"a": {"b": 3}}),
        ("$${{ n }}", "${{ n }}"),
        ("$${{ n }} ${{ n }}", "${{ n }} 3"),
        ("{{ n }} {% n %}", "{{ n }} {% n %}"),
        ("${{ '}}' }}", "}}"),
        ("${{ alert['host']['name'] }}", "ws-042"),
        ("${{ alert.items }}", "not a method"),
        ("${{ alert.observables[1].value }}", "evil.example"),
        ("${{ alert.host.tags[-1] }}", "pci"),
        ("${{ alert.title[:6] }}", "Beacon"),
        ("${{ alert.title[-4:] }}", "EVIL"),
        ("${{ alert.title[n:6] }}", "con"),
        ("${{ alert.title[:] }}", "Beacon to EVIL"),
        ("${{ alert.host.tags[:1] }}", ["lab"]),
        ("${{ alert.host.tags[5:] }}", []),
        ("${{ n + 1 }}", 4),
        ("${{ 7 / 2 }}", 3.5),
        ("${{ 7 % 4 - 1 }}", 2),
        ("${{ -n * 2 }}", -6),
        ("${{ 'a' ~ n ~ yes }}", "a3true"),
        ("${{ 'high' if alert.severity >= 4 else 'low' }}", "high"),
        ("${{ n == 3.0 }}", True),
        ("${{ yes == 1 }}", False),
        ("${{ [true] == [1] }}", False),
        ("${{ '3' == 3 }}", False),
        ("${{ 'EVIL' in alert.title }}", True),
        ("${{ 'host' in alert }}", True),
        ("${{ 5 not in [1, 2] }}", True),
        ("${{ alert.user is none }}", True),
        ("${{ alert.host is not none }}", True),
        ("${{ alert.user.name is defined }}", False),
        ("${{ alert.nope is defined }}", False),
        ("${{ alert.user is defined }}", True),
        ("${{ alert.user.name | default('unknown') }}", "unknown"),
        ("${{ nope | default(1) }}", 1),
        ("${{ alert.user.name | lower | default('x') }}", "x"),
        ("${{ null }}", None),
    ],
)
def test_template_keeps_the_type_of_its_value(template: str, expected: Any) -> None:
    result = evaluate(template, SCOPE)
    assert result == expected
    assert type(result) is type(expected)


FILTER_EXAMPLES: dict[str, list[tuple[str, Any]]] = {
    "default": [("nothing | default('x')", "x"), ("n | default(1)", 3)],
    "lower": [("alert.title | lower", "beacon to evil")],
    "upper": [("'a' | upper", "A")],
    "trim": [("' a ' | trim", "a")],
    "replace": [("'a.b' | replace('.', '-')", "a-b"), ("'a.b' | replace(new='-', old='.')", "a-b")],
    "split": [("'a,b' | split(',')", ["a", "b"])],
    "starts_with": [("'ws-1' | starts_with('ws-')", True)],
    "ends_with": [("'a.exe' | ends_with('.dll')", False)],
    "contains": [("alert.host.tags | contains('pci')", True), ("'abc' | contains('x')", False)],
    "in_network": [
        ("'10.1.2.3' | in_network('10.0.0.0/8')", True),
        ("'::1' | in_network('10.0.0.0/8')", False),
    ],
    "matches": [
        ("alert.title | matches('^Beacon .*[A-Z]{4}$')", True),
        ("alert.title | matches('\\\\d')", False),
    ],
    "truncate": [
        ("alert.title | truncate(7)", "Beacon…"),
        ("alert.title | truncate(14)", "Beacon to EVIL"),
        ("'é' | truncate(1)", "é"),
    ],
    "duration": [("'2h' | duration", 7200), ("'1d' | duration > 86399", True)],
    "length": [("empty | length", 0), ("'abc' | length", 3)],
    "first": [("alert.host.tags | first", "lab"), ("empty | first", None)],
    "last": [("alert.host.tags | last", "pci")],
    "join": [("alert.host.tags | join", "lab, pci"), ("[1, true] | join('+')", "1+true")],
    "unique": [("[1, 1.0, true, 'a', 'a'] | unique", [1, True, "a"])],
    "sort": [("[3, 1, 2] | sort", [1, 2, 3])],
    "map": [
        ("alert.observables | map('value')", ["198.51.100.7", "evil.example"]),
        ("alert.observables | map(attribute='type')", ["address", "domain"]),
        ("alert.parts | map('host.name')", ["a", None, "b"]),
    ],
    "where": [
        ("alert.observables | where('type', 'domain') | map('value') | first", "evil.example"),
        ("alert.parts | where('host.name', 'b') | length", 1),
        ("alert.parts | where('host.name', none) | length", 1),
    ],
    "int": [("'12' | int", 12), ("1.9 | int", 1), ("' -4 ' | int", -4)],
    "round": [("2.5 | round", 2), ("1.236 | round(2)", 1.24)],
    "string": [("n | string", "3"), ("yes | string", "true")],
    "json": [("{'b': 1, 'a': none} | json", '{"a":null,"b":1}')],
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [example for examples in FILTER_EXAMPLES.values() for example in examples],
)
def test_filter_result(source: str, expected: Any) -> None:
    result = evaluate("${{ " + source + " }}", SCOPE)
    assert result == expected
    assert type(result) is type(expected)


def test_every_filter_has_an_example() -> None:
    assert FILTER_EXAMPLES.keys() == FILTERS.keys()


@pytest.mark.parametrize(
    "source",
    [
        "x()",
        "alert.title.upper()",
        "a[1:2:3]",
        "(1, 2)",
        "2 ** 3",
        "7 // 2",
        "1 < 2 < 3",
        "1 if yes",
        "n is divisibleby 3",
        "n is number",
        "alert | map(*n)",
        "a }} {{ b",
        "a, b",
        "{% if x %}",
        "a b",
        "a # b",
        "",
        "'\\d'",
        "'\\ud800'",
        "1e999",
        "9007199254740992",
        "{1: 2}",
        "{'a': 1, 'a': 2}",
        "not " * 500 + "x",
        "(" * 200 + "x" + ")" * 200,
        "x" * 5_000,
        "[" + ",".join("1" * 400) + "]",
        "lambda: 1",
        "self.x(1)",
        "-" * 3_000 + "1",
    ],
)
def test_syntax_outside_of_the_whitelist_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        parse(source)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${{ alret.title }}", "'alret' is not defined; did you mean 'alert'?"),
        ("${{ alert.hots }}", "alert.hots is not defined; did you mean 'host'?"),
        ("${{ alert.title['a':] }}", "the bound of a slice is not a whole number"),
        ("${{ alert.title[:nothing] }}", "write [start:stop], such as [:10]"),
        ("${{ n[:1] }}", "a slice of a number; only a text and a list have parts"),
        ("${{ nothing[:1] }}", "a slice of null"),
        ("${{ alert.title | truncate(0) }}", "write a length of at least 1"),
        ("${{ alert.title | matches('(') }}", "missing )"),
        ("${{ 'soon' | duration }}", "write it like 90s"),
        ("${{ alert.parts | where('host.id', 1) }}", "an item of the list has no 'host.id'"),
        (
            "${{ alert.user.name }}",
            "alert.user.name is not defined: the value before it is null",
        ),
        ("${{ alert.host.tags[7] }}", "is not defined"),
        ("${{ alert.title.upper }}", "cannot look up a text in a text"),
        ("${{ alert.__class__ }}", "alert.__class__ is not defined"),
        ("${{ ''.__class__ }}", "cannot look up a text in a text"),
        ("x ${{ nothing }}", "null has no text"),
        ("${{ n + 'a' }}", "`+` between a number and a text"),
        ("${{ 'a' * 3 }}", "`*` between a text and a number"),
        ("${{ yes + 1 }}", "`+` between true or false and a number"),
        ("${{ 1 / 0 }}", "`/` by zero"),
        ("${{ 9007199254740991 + 1 }}", "beyond what JSON carries"),
        ("${{ 1 < 'a' }}", "cannot order a number and a text"),
        ("${{ n and yes }}", "`and` needs true or false"),
        ("${{ not n }}", "`not` needs true or false"),
        ("${{ 1 if n else 2 }}", "`if` needs true or false"),
        ("${{ n in 5 }}", "cannot look for a number in a number"),
        ("${{ n | lowr }}", "unknown filter 'lowr'; did you mean 'lower'?"),
        ("${{ n | lower }}", "the filter 'lower' takes string, and got a number"),
        ("${{ 'a' | replace('x') }}", "needs another argument; write `x | replace(old, new)`"),
        ("${{ 'a' | trim(1) }}", "wrong arguments for the filter 'trim'"),
        ("${{ 'a' | split(1) }}", "the argument 'separator' of the filter 'split' is a number"),
        ("${{ ['a', 1] | sort }}", "cannot order"),
        ("${{ 'x' | int }}", "not a whole number"),
        ("${{ n", "a `${{` is not closed"),
    ],
)
def test_evaluation_error_has_a_reason(template: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(template, SCOPE)
    assert message in str(caught.value)


def test_and_and_or_short_circuit() -> None:
    assert evaluate_condition("alert.user is none or alert.user.name == 'x'", SCOPE) is True
    assert evaluate_condition("alert.user is not none and alert.user.name == 'x'", SCOPE) is False


def test_a_condition_that_is_not_a_bool_is_an_error() -> None:
    for source in ("n", "nothing", "'true'", "empty"):
        with pytest.raises(ExpressionError, match="a condition needs true or false"):
            evaluate_condition(source, SCOPE)


def test_templates_in_lists_and_objects_are_evaluated_and_keys_are_not() -> None:
    assert evaluate({"a": ["${{ n }}", {"${{ n }}": 1}]}, SCOPE) == {"a": [3, {"${{ n }}": 1}]}


def test_references_are_dotted_paths() -> None:
    source = "steps.a.b[0].c == alert['host'].name and (steps.z | map('q') | length) > limits[n]"
    assert references(source) == {"steps.a.b", "alert.host.name", "steps.z", "limits", "n"}


@pytest.mark.parametrize(
    "text", ["${{ n }}", "{{ n }}", "$${{ n }}", "{% raw %}", '["a"]', "${{ alert }}", "}} ${{ n"]
)
def test_text_of_an_attacker_is_never_evaluated(text: str) -> None:
    scope = {"alert": {"title": text}, "n": 3}
    assert evaluate("${{ alert.title }}", scope) == text
    assert evaluate("<${{ alert.title }}> ${{ n }}", scope) == f"<{text}> 3"
    assert evaluate({"a": ["${{ [alert.title] | first }}"]}, scope) == {"a": [text]}
    assert evaluate("${{ alert | json }}", scope) == json.dumps(
        {"title": text}, separators=(",", ":")
    )


def test_results_are_bounded() -> None:
    scope = {
        "big": "x" * MAX_TEXT,
        "many": list(range(MAX_ITEMS + 1)),
        "wide": [["x"] * 9_000] * 12,
    }
    assert evaluate("${{ big }}", scope) == "x" * MAX_TEXT
    for template in (
        "${{ big }}!",
        "${{ big ~ big }}",
        "${{ [big, big] | join }}",
        "${{ big | replace('x', 'yy') }}",
        "${{ many }}",
        "${{ big | split('x') }}",
        "${{ many | join }}",
        "${{ wide }}",
        "${{ wide }}.",
    ):
        with pytest.raises(ExpressionError):
            evaluate(template, scope)


def test_a_value_that_is_too_deep_is_refused() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    for template in ("${{ deep }}", "${{ deep }}!", "${{ deep | json }}", "${{ deep == deep }}"):
        with pytest.raises(ExpressionError):
            evaluate(template, {"deep": deep})
    with pytest.raises(ExpressionError):
        evaluate(deep, {})


def test_value_that_is_not_json_is_refused() -> None:
    for value in (object(), {1, 2}, float("nan"), float("inf"), 2**60, len):
        with pytest.raises(ExpressionError):
            evaluate("${{ x }}", {"x": value})


def test_text_for_people_is_always_text() -> None:
    assert evaluate_text("${{ n }}", SCOPE) == "3"
    with pytest.raises(ExpressionError, match="null has no text"):
        evaluate_text("${{ nothing }}", SCOPE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
TOKENS = st.lists(
    st.sampled_from(
        [
            "alert",
            ".",
            "title",
            "n",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "'a'",
            ":",
            ",",
            "1",
            "2.5",
            "+",
            "-",
            "*",
            "/",
            "%",
            "**",
            "//",
            "~",
            "|",
            "lower",
        ]
        + [
            "default",
            "join",
            "int",
            "split",
            "first",
            "replace",
            "sort",
            " and ",
            " or ",
            " not ",
            " in ",
            " is ",
            "none",
            "defined",
            " if ",
            " else ",
        ]
        + [
            "==",
            "<",
            ">=",
            "!=",
            "true",
            "${{",
            "}}",
            "'",
            '"',
            "\\",
            "\n",
            "x()",
            "_",
            "é",
            "\x00",
            "0x1f",
            "1_0",
        ]
    ),
    max_size=14,
).map("".join)


@settings(deadline=None)
@given(st.text(max_size=120) | TOKENS)
def test_any_text_parses_or_is_an_expression_error(source: str) -> None:
    with contextlib.suppress(ExpressionError):
        parse(source)


@settings(deadline=None)
@given(TOKENS, JSON)
def test_any_expression_over_any_data_yields_bounded_json_or_an_expression_error(
    source: str, data: Any
) -> None:
    for template in ("${{ " + source + " }}", "a ${{ " + source + " }} b", source):
        try:
            result = evaluate(template, {"alert": data, "n": 3, "title": data})
        except ExpressionError:
            continue
        assert json.loads(json.dumps(result)) == result


@settings(deadline=None)
@given(
    st.text(max_size=40),
    st.sampled_from(
        ["{}", "${{{{ {} }}}}", "$${{{{ {} }}}}", "{{{{ {} }}}}", "{{% {} %}}", "}}}} ${{{{ {}"]
    ),
)
def test_no_text_of_the_scope_is_ever_evaluated_again(text: str, shape: str) -> None:
    hostile = shape.format(text)
    scope = {"alert": {"title": hostile}, "secret": "s3cret"}
    assert evaluate("${{ alert.title }}", scope) == hostile
    assert evaluate("a${{ alert.title }}b", scope) == f"a{hostile}b"
    assert evaluate(["${{ {'t': alert.title} }}"], scope) == [{"t": hostile}]
