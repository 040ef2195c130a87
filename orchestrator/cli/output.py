"""Printing: lines for a person, JSON and YAML for a program."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(value: Any) -> None:
    """Print indented JSON."""
    print_raw(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_yaml(value: Any) -> None:
    """Print YAML."""
    import io

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump(json.loads(json.dumps(value, default=str)), stream)
    print_raw(stream.getvalue())


def print_line(text: str) -> None:
    """Print text and a line break at once, with its control characters made visible."""
    print_raw(escape_controls(text) + "\n")


def print_error(text: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(escape_controls(text) + "\n")


def print_refusal(error: object) -> None:
    """Print an error to stderr; each of its lines begins alike, so that programs can match it."""
    for line in str(error).splitlines():
        print_error(f"tocsin: {line}")


def print_raw(text: str) -> None:
    """Print text byte for byte."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_styled(text: str, style: str, *, plain: str = "") -> None:
    """Print a line whose first part, `text`, has a style where the terminal shows colours."""
    from rich.console import Console
    from rich.text import Text

    line = Text(escape_controls(text), style=style) + Text(escape_controls(plain))
    Console(highlight=False, soft_wrap=True).print(line)


def escape_controls(text: str) -> str:
    """Return the text with visible control characters, so that an alert cannot move the cursor."""
    return "".join(
        each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in text
    )
