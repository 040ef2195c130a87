"""Errors, split by what the caller may do.

TocsinError
├── Invalid        the input is wrong; the message names the place and the fix
├── NotFound       the thing does not exist
├── Conflict       the thing is not in a state that allows this
├── Forbidden      the person lacks a permission
└── ActionError    a connector's call to its system
    ├── Unavailable    try again (after `retry_after`, where the system said so)
    │   ├── Busy       another change of the target has to end first; the system was not called
    │   └── Stopped    a kill switch stops it for now; the system was not called
    ├── Rejected       stop: the system refused, and will refuse again
    └── Unknown        the reply was lost: plan again and look
Halted             a person, the policy or a kill switch refused; nothing was attempted
"""

from datetime import timedelta


class TocsinError(Exception):
    """An error that Tocsin raises on purpose. Its text is meant for people and holds no secret."""


class Invalid(TocsinError):
    """The input is wrong."""


class NotFound(TocsinError):
    """The thing does not exist."""


class Conflict(TocsinError):
    """The thing is not in a state that allows this."""


class Forbidden(TocsinError):
    """The person lacks a permission."""


class ActionError(TocsinError):
    """A call to an outside system did not succeed."""


class Unavailable(ActionError):
    """The system did not answer: try again."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """The pause that the system asked for, if any."""


class Busy(Unavailable):
    """Another change of the same target, or of one that overlaps it, has to end first."""

    def __init__(
        self, message: str, retry_after: timedelta | None = None, *, run_id: str | None = None
    ) -> None:
        super().__init__(message, retry_after)
        self.run_id = run_id
        """The run that makes that change, where it is one."""


class Stopped(Unavailable):
    """A kill switch stops it for now."""


class Rejected(ActionError):
    """The system refused; a retry will not help."""


class Unknown(ActionError):
    """The change may or may not have been made: plan again and look."""


class Halted(TocsinError):
    """A person, the policy or a kill switch refused; nothing was attempted."""
