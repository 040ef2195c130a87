"""The traces of this process, which it exports where `otlp_endpoint` is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.tracing.otlp import Traces

_traces: Traces | None = None


@contextmanager
def exported_traces(settings: Settings, service: str) -> Iterator[None]:
    """Export the traces of the block where a collector is configured. Raise Invalid.

    A collector that does not answer delays nothing: spans are sent in the background, and dropped
    once too many wait.
    """
    if settings.otlp_endpoint is None:
        yield
        return
    from orchestrator.tracing.otlp import Traces, open_exporter  # noqa: PLC0415  few export traces

    traces = Traces(open_exporter(settings), service, settings.trace_ratio)
    with used(traces):
        yield


@contextmanager
def used(traces: Traces) -> Iterator[None]:
    """Let this process trace the block; then send what waits."""
    global _traces  # noqa: PLW0603  one for each process
    _traces = traces
    traces.begin_spans()
    try:
        yield
    finally:
        _traces = None
        traces.close()


def temporal_interceptors() -> list[Any]:
    """Return the interceptors that carry traces through Temporal; none without traces."""
    return [_traces.interceptor()] if _traces else []


def trace_position() -> str | None:
    """Return where the current trace is (W3C `traceparent`), to store with what goes on later."""
    return _traces.position() if _traces else None


@contextmanager
def continued_trace(position: str | None) -> Iterator[None]:
    """Let the block go on with a trace from a position that `trace_position` returned."""
    if _traces is None or position is None:
        yield
        return
    with _traces.continued(position):
        yield
