"""What can go wrong, split by what the caller may do.

TocsinError
├── Invalid        the input is wrong; the message names the place and the mend
├── NotFound       there is no such thing
├── Conflict       the thing is not in a state that allows this
├── Forbidden      this person may not
└── ActionError    a connector's call to its system
    ├── Unavailable    try again (after `retry_after`, where the system said so)
    ├── Rejected       stop: the system said no, and will say no again
    └── Unknown        the reply was lost: plan again and look
Halted             a person, the policy or a kill switch said no (not an ActionError: nothing was attempted)
"""

from datetime import timedelta


class TocsinError(Exception):
    """Anything Tocsin raises on purpose; its text is fit for a person and carries no secret."""


class Invalid(TocsinError):
    """The input is wrong."""


class NotFound(TocsinError):
    """There is no such thing."""


class Conflict(TocsinError):
    """The thing is not in a state that allows this."""


class Forbidden(TocsinError):
    """The person who asks may not do it."""


class ActionError(TocsinError):
    """A call to an outside system did not succeed."""


class Unavailable(ActionError):
    """Try again. `retry_after`: what the system asked for, if it did."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(ActionError):
    """The system refused; asking again will not help."""


class Unknown(ActionError):
    """The change may or may not have been made: plan again and look."""


class Halted(TocsinError):
    """A person, the policy or a kill switch said no."""
