"""Errors of form in words: what a key takes, with an example, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from orchestrator.playbook.language.templates import is_template
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.problems import did_you_mean

WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than_equal": ("ge", "must be at least"),
    "less_than_equal": ("le", "must be at most"),
    "string_too_long": ("max_length", "has too many characters: it takes at most"),
    "too_long": ("max_length", "has too many items: it takes at most"),
}
_EXAMPLES = {
    "version": "1",
    "at_most": "50",
    "at_once": "5",
    "attempts": "3",
    "quorum": "2",
    "runs_per_hour": "10",
    "with": "{address: 198.51.100.7}",
    "retry": "{attempts: 3, wait: 10s}",
    "approve": "{question: Block it?}",
    "trigger": "{when: alert.class == 'malware'}",
    "inputs": "{address: {type: address}}",
    "limits": "{runs_per_hour: 10}",
    "ask": "{question: What is it?, form: {note: {type: text, label: Note}}}",
    "form": "{note: {type: text, label: Note}}",
    "repeat": "{steps: [...], until: steps.again.online, at_most: 10}",
    "attack": "[T1071.001]",
    "choices": "[benign, hostile]",
}
_BOOLEANS = {
    **dict.fromkeys(("yes", "y", "on", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "0"), "false"),
}


def describe_error(error: ErrorDetails, path: Path, known: list[str]) -> tuple[str, str | None]:
    """Return the message and the fix of an error. `known`: the keys that may stand there."""
    name = _name(path)
    match error["type"]:
        case "missing":
            return f"{name} is missing", "add it"
        case "extra_forbidden":
            return f"unknown key {name}", _fix_of_key(str(path[-1]), known)
        case "literal_error":
            return _not_among(name, error)
        case "too_short" | "string_too_short":
            return f"{name} is empty", "write at least one, or remove it"
        case kind if kind in WANTED:
            return f"{name} must be {WANTED[kind]}", fix_of_type(kind, error["input"], path)
        case kind if kind in _LIMITS:
            field, words = _LIMITS[kind]
            return f"{name} {words} {error['ctx'][field]}", None
        case _:
            message, _, fix = error["msg"].removeprefix("Value error, ").partition("; ")
            return (message if error["type"] == "step_kind" else f"{name}: {message}"), fix or None


def fix_of_type(kind: str, given: Any, path: Path) -> str | None:
    """Return what to write instead of a value of the wrong type. `kind`: a key of WANTED."""
    return _FIXES[kind](given, path)


def _name(path: Path) -> str:
    return repr(path[-1]) if isinstance(path[-1], str) else f"item {path[-1]} of {path[-2]!r}"


def _fix_of_key(key: str, known: list[str]) -> str | None:
    """Return the known key, or the missing colon of `with {a: b}`."""
    first = key.split("{", maxsplit=1)[0].split()
    if first and first[0] != key and first[0] in known:
        return f"add the ':' after {first[0]!r}"
    return did_you_mean(key, known)


def _not_among(name: str, error: ErrorDetails) -> tuple[str, str]:
    expected = error["ctx"]["expected"]
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    given = str(error["input"])
    return f"{name} cannot be {given[:60]!r}", did_you_mean(given, words) or f"use {expected}"


def _example(path: Path, otherwise: str) -> str:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return _EXAMPLES.get(name, otherwise)


def _text_fix(given: Any, _: Path) -> str | None:
    return None if isinstance(given, (dict, list)) else "quote it: '...'"


def _number_fix(given: Any, path: Path) -> str:
    if isinstance(given, str) and given.strip().isdecimal():
        return f"write it without quotes: {given.strip()[:20]}"
    if isinstance(given, str) and is_template(given):
        return f"an expression cannot stand here; write a number, such as {_example(path, '10')}"
    return f"write a number, such as {_example(path, '10')}"


def _boolean_fix(given: Any, _: Path) -> str:
    return f"write {_BOOLEANS.get(str(given).strip().lower(), 'true or false')}"


def _list_fix(_given: Any, path: Path) -> str:
    example = _example(path, "[a, b]")
    return f"write {example}, or one item per line that begins with a dash"


def _mapping_fix(_given: Any, path: Path) -> str:
    return f"write keys and values, such as {_example(path, '{key: value}')}"


_FIXES: dict[str, Callable[[Any, Path], str | None]] = {
    "string_type": _text_fix,
    "int_type": _number_fix,
    "bool_type": _boolean_fix,
    "list_type": _list_fix,
    "dict_type": _mapping_fix,
    "model_type": _mapping_fix,
    "model_attributes_type": _mapping_fix,
}
