"""Preconditions: a write that applies only to the state that its author has seen."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from orchestrator.domain.errors import TocsinError
from orchestrator.domain.model import Frozen

_PASSING = frozenset(
    {"warning", "warnings", "token", "secret", "activity", "enrolment_code", "enrolment_url"}
)
"""Fields of an answer that are no part of the state: shown once, or counts."""
_LENGTH = 32


class PreconditionFailed(TocsinError):
    """The state is not the one that the author of the write has seen."""

    def __init__(self, message: str, etag: str | None) -> None:
        super().__init__(message)
        self.etag = etag
        """The tag of the state now; None where there is nothing."""


class PreconditionRequired(PreconditionFailed):
    """The write must name the state that its author has seen."""


class Precondition(Frozen):
    """What a write expects of the state that it replaces."""

    tags: tuple[str, ...] | None = None
    """The accepted tags; None: any state, and nothing too."""
    exists: bool = False
    """Whether any state will do, but there must be one (`*`)."""

    def check(self, subject: str, current: BaseModel | None) -> None:
        """Raise PreconditionFailed unless the current state, as the API shows it, is expected."""
        etag = None if current is None else etag_of(current.model_dump(mode="json", by_alias=True))
        is_any = etag is not None if self.exists else self.tags is None
        if not is_any and etag not in (self.tags or ()):
            raise PreconditionFailed(_changed(subject, etag), etag)

    def require(self, subject: str, current: BaseModel | None) -> None:
        """Like `check`, but raise PreconditionRequired where the write names no state."""
        if self.tags is None and not self.exists and current is not None:
            etag = etag_of(current.model_dump(mode="json", by_alias=True))
            raise PreconditionRequired(
                f"{subject} exists: say which state you replace; read it and send its ETag as "
                "If-Match, or `If-Match: *` to replace any",
                etag,
            )
        self.check(subject, current)


ANY_STATE = Precondition()
"""No precondition."""


def etag_of(state: dict[str, Any]) -> str:
    """Return the entity tag of an object as the API shows it, with its quotes."""
    lasting = {name: value for name, value in state.items() if name not in _PASSING}
    text = json.dumps(lasting, sort_keys=True)  # RFC 8785 has no form for a large integer
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]}"'


def _changed(subject: str, etag: str | None) -> str:
    if etag is None:
        return f"{subject} does not exist any more"
    return f"{subject} has changed since you read it; read it again, and send its new ETag"
