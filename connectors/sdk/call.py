"""What a connector is told about the call it carries out: the key that names it, why it happens, how to report progress."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JSON = Any  # a JSON value

_TAG = re.compile(r"tocsin-[0-9a-f]{16}", re.ASCII)
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)


@dataclass(frozen=True, slots=True)
class Call:
    """One step's call. Retries of the same step carry the same `key`, so a connector can find its own earlier work.

    `reason` is text for the vendor's comment field; it holds no secret. `resume` is the detail of the last heartbeat
    before a crash. `deadline` is aware, UTC.
    """

    key: str
    run_id: str
    step_id: str
    reason: str
    heartbeat: Callable[[JSON], None]
    resume: JSON | None = None
    deadline: datetime | None = None

    @property
    def tag(self) -> str:
        """`tocsin-` and 16 hex digits: what is put on the vendor's objects, and searched for first."""
        return tag_of(self.key)

    @classmethod
    def bare(cls, key: str = "test") -> Call:
        """A call outside of any run, for tests and credential checks."""
        return cls(
            key=key,
            run_id="run_none",
            step_id="none",
            reason="outside of any run",
            heartbeat=_ignore,
        )


def tag_of(key: str) -> str:
    """The short tag that stands for an idempotency key on a vendor's objects."""
    return f"tocsin-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Tagged:
    """Something on a system that carries a tag of ours. `action`: by which it would have been made; `note`: what else stands there."""

    action: str
    target: str
    tag: str
    note: str = ""


def is_tag(text: str) -> bool:
    """Whether a text is one of our tags."""
    return _TAG.fullmatch(text) is not None


@contextmanager
def in_call(call: Call) -> Iterator[None]:
    """Lets the transport see on whose behalf it sends: the key goes out with every write."""
    token = current_call.set(call)
    try:
        yield
    finally:
        current_call.reset(token)


def _ignore(_detail: JSON) -> None:
    """A heartbeat that nobody listens to."""
