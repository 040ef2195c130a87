"""One action call: its key and tag, its reason, its heartbeat, and what observes it."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from orchestrator.domain.errors import ActionError, TocsinError

JSON = Any  # a JSON value
JsonObject = dict[str, Any]

_TAG = re.compile(r"tocsin-[0-9a-f]{16}", re.ASCII)
current_call: ContextVar[ActionCall | None] = ContextVar("current_call", default=None)


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One step's call of an action."""

    key: str
    """Idempotency key, the same for every retry of the step, by which earlier work is found."""
    run_id: str
    step_id: str
    reason: str
    """Text for the vendor's comment field. Contains no secret."""
    heartbeat: Callable[[JSON], None]
    """Reports progress. The detail of the last heartbeat becomes `resume` after a crash."""
    resume: JSON | None = None
    deadline: datetime | None = None
    """Aware, UTC."""
    attempt: int = 1
    """Counts the tries of the engine from 1."""

    @property
    def tag(self) -> str:
        """The tag for the vendor's objects: `tocsin-` and 16 hex digits. Search for it first."""
        return tag_of(self.key)

    @classmethod
    def bare(cls, key: str = "test") -> ActionCall:
        """Return a call outside of any run, for tests and credential checks."""
        return cls(
            key=key,
            run_id="run_none",
            step_id="none",
            reason="outside of any run",
            heartbeat=_ignore_heartbeat,
        )


def tag_of(key: str) -> str:
    """Return the tag that represents an idempotency key on a vendor's objects."""
    return f"tocsin-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class TaggedObject:
    """An object on a vendor's system that carries one of Tocsin's tags."""

    action: str
    """The action that creates such an object."""
    target: str
    tag: str
    note: str = ""
    """Other text on the object, such as its description."""


def is_tag(text: str) -> bool:
    """Return whether the text is one of Tocsin's tags."""
    return _TAG.fullmatch(text) is not None


Operation = Literal["read", "plan", "apply", "verify", "undo", "verify_undone"]
"""What the engine asks of an action."""


class CallReport(NamedTuple):
    """How a call of an action ended."""

    action: str
    operation: Operation
    attempt: int
    seconds: float
    error: BaseException | None
    """None where the call succeeded. Its text may quote the system: report its type alone."""


CallObserver = Callable[[CallReport], None]
"""Receives the report of every call of a connector. Raises nothing."""


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


@contextmanager
def in_call(call: ActionCall) -> Iterator[None]:
    """Make the call current, so that the HTTP client sends its tag with every write."""
    token = current_call.set(call)
    try:
        yield
    finally:
        current_call.reset(token)


@contextmanager
def observed_call(
    call: ActionCall, action: str, operation: Operation, observer: CallObserver | None
) -> Iterator[None]:
    """Make the call current, as `in_call` does, and report how it ended."""
    error, started = None, time.monotonic()
    try:
        with span(f"{operation} {action}", {"tocsin.attempt": call.attempt}), in_call(call):
            yield
    except BaseException as failure:
        error = failure
        raise
    finally:
        if observer is not None:
            seconds = time.monotonic() - started
            observer(CallReport(action, operation, call.attempt, seconds, error))


@contextmanager
def hide_foreign_errors(place: str, otherwise: type[ActionError]) -> Iterator[None]:
    """Pass Tocsin's errors. Of any other, report only the type: its text may contain a secret."""
    try:
        yield
    except TocsinError:
        raise
    except ExceptionGroup as group:
        own, _ = group.split(ActionError)
        if own is not None:
            raise _first_leaf(own) from None
        message = f"{place} failed inside the connector ({type(group.exceptions[0]).__name__})"
        raise otherwise(message) from None
    except Exception as error:  # noqa: BLE001  # any error of a vendor's code ends here
        message = f"{place} failed inside the connector ({type(error).__name__})"
        raise otherwise(message) from None


def _first_leaf(group: BaseException) -> BaseException:
    return _first_leaf(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


def _ignore_heartbeat(_detail: JSON) -> None:
    """Discard a heartbeat."""
