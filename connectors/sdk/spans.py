"""Spans: what a call of a connector and its requests take, where the process exports traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

Attributes = Mapping[str, str | int]


class TraceSpan(Protocol):
    """A span of OpenTelemetry."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Add an attribute."""

    def update_name(self, name: str) -> None:
        """Change the name."""


Begin = Callable[[str, Attributes], AbstractContextManager[TraceSpan]]
_begin: Begin | None = None


def export_spans(begin: Begin | None) -> None:
    """Begin spans by this function from now on; None: begin none."""
    global _begin  # noqa: PLW0603  one exporter for each process
    _begin = begin


@contextmanager
def span(name: str, attributes: Attributes) -> Iterator[TraceSpan | None]:
    """Measure the block as a span, which no text of an alert, a reply or an error enters.

    None where the process exports no traces.
    """
    if _begin is None:
        yield None
        return
    with _begin(name, attributes) as begun:
        yield begun
