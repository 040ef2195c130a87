"""Strict YAML 1.2: the text of a playbook becomes plain data, with the position of every node.

A subset that reads the same to every person and every parser. No anchors, aliases, tags, merge
keys or directives. One document. Keys are text and unique. `on`, `yes`, `1:20` and `2024-01-01` are
text. `012` is refused, because readers disagree on it.

Why not a library: PyYAML speaks YAML 1.1, in which `on` is true and `1:20` is 80. StrictYAML has no
flow mappings and reads every scalar as text. ruamel.yaml parses here, but its own constructor
unfolds aliases before a limit can apply, and loses the position of scalars.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.yaml_errors import explain_syntax_error

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_INTEGER = 2**53 - 1  # what JSON (RFC 8785) carries exactly

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a text. Both numbers count from 1."""

    line: int
    column: int


class BadYaml(Invalid):
    """Text that is not valid YAML, or not of the subset."""

    def __init__(self, message: str, position: Position, fix: str | None = None) -> None:
        super().__init__(
            f"{position.line}:{position.column}: {message}" + (f"; {fix}" if fix else "")
        )
        self.message = message
        self.position = position
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and the positions of its nodes."""

    data: Any
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)

    def at(self, path: Path, *, key: bool = False) -> Position:
        """Return the position of a value or its key, or of the nearest ancestor in the text."""
        for end in range(len(path), -1, -1):
            places = self.keys if key else self.values
            if found := places.get(path[:end]) or self.values.get(path[:end]):
                return found
        return Position(1, 1)


def load(text: str) -> Document:
    """Read one document. Raises BadYaml."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024} KiB"
        raise BadYaml(message, Position(1, 1), "split it, and `call` the parts")
    yaml = YAML(typ="safe", pure=True)  # pure: the C parser speaks YAML 1.1
    try:
        return _Builder(yaml.parse(text)).document()
    except MarkedYAMLError as error:
        found = explain_syntax_error(error, text)
        position = Position(found.line, found.column)
        raise BadYaml(found.message, position, found.fix) from error
    except (YAMLError, ValueError) as error:
        message = f"not YAML: {str(error).splitlines()[0]}"
        raise BadYaml(message, Position(1, 1)) from error


class _Builder:
    """A builder of data from parse events, which refuses an alias bomb before it is unfolded."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._values: dict[Path, Position] = {}
        self._keys: dict[Path, Position] = {}

    def document(self) -> Document:
        data: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                self._refuse_document(event, documents)
            elif isinstance(
                event, (ScalarEvent, AliasEvent, MappingStartEvent, SequenceStartEvent)
            ):
                data = self._node(event, ())
        return Document(data, self._values, self._keys)

    @staticmethod
    def _refuse_document(event: DocumentStartEvent, documents: int) -> None:
        if documents > 1:
            message = "a second document is not supported"
            raise BadYaml(message, _position(event), "one playbook per file")
        if event.version or event.tags:
            message = "YAML directives are not supported"
            raise BadYaml(message, _position(event), "remove the line that starts with %")

    def _node(self, event: Event, path: Path) -> Any:
        position = _position(event)
        self._values[path] = position
        _refuse_extras(event, position)
        if len(path) > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} deep"
            raise BadYaml(message, position)
        match event:
            case MappingStartEvent():
                return self._mapping(path)
            case SequenceStartEvent():
                return self._sequence(path)
            case _:
                return _scalar(event, position)

    def _mapping(self, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._key(event, data)
            self._keys[*path, key] = _position(event)
            data[key] = self._node(next(self._events), (*path, key))
        return data

    @staticmethod
    def _key(event: Event, seen: dict[str, Any]) -> str:
        position = _position(event)
        _refuse_extras(event, position)
        if not isinstance(event, ScalarEvent):
            message = "the key is not text"
            raise BadYaml(message, position, "quote a value that starts with {")
        if event.style is None and event.value == "<<":
            message = "merge keys are not supported"
            raise BadYaml(message, position, "write each field")
        key = _scalar(event, position)
        if not isinstance(key, str):
            message = f"the key {event.value} is not text"
            raise BadYaml(message, position, f"quote it: '{event.value}'")
        if key in seen:
            message = f"the key {key!r} appears twice"
            raise BadYaml(message, position, "remove one")
        return key

    def _sequence(self, path: Path) -> list[Any]:
        data: list[Any] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            data.append(self._node(event, (*path, len(data))))
        return data


def _position(event: Event) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse_extras(event: Event, position: Position) -> None:
    if isinstance(event, AliasEvent):
        message = "aliases (*) are not supported"
        raise BadYaml(message, position, "repeat the value, or quote the text")
    if getattr(event, "anchor", None):
        message = "anchors (&) are not supported"
        raise BadYaml(message, position, "repeat the value, or quote the text")
    if getattr(event, "tag", None):
        message = "tags (!) are not supported"
        raise BadYaml(message, position, "remove it, or quote the text")


_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _scalar(event: Any, position: Position) -> Any:
    """Return the value of a scalar by the YAML 1.2 core schema."""
    text: str = event.value
    if event.style is not None:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _DECIMAL.fullmatch(text) or _BASED.fullmatch(text):
        return _integer(text, position)
    if _FLOAT.fullmatch(text) or _NOT_A_NUMBER.fullmatch(text):
        return _float(text, position)
    return text


def _integer(text: str, position: Position) -> int:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits.isdigit() and digits.startswith("0"):
        message = f"{text} is octal to some readers and decimal to others"
        raise BadYaml(message, position, f"write {int(digits[:20])}, or quote it: '{text}'")
    value = int(text, 0) if len(text) <= 20 else MAX_INTEGER + 1
    if abs(value) > MAX_INTEGER:
        message = "the number is beyond 2^53"
        raise BadYaml(message, position, "quote it: JSON cannot carry it exactly")
    return value


def _float(text: str, position: Position) -> float:
    value = math.nan if _NOT_A_NUMBER.fullmatch(text) else float(text)
    if not math.isfinite(value):
        message = f"{text} is not a number that JSON can carry"
        raise BadYaml(message, position, "quote it")
    return value
