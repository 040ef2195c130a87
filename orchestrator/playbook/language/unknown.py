"""What is nobody able to tell? A result that is not known: what needs it cannot be told either, and is never guessed."""

from __future__ import annotations

from typing import Any, NoReturn


class CannotTell(Exception):
    """Something depends on what is not known; the text says on what. No failure of the playbook: no step's `on_error` may catch it."""


class NotKnown(dict[str, Any]):
    """Stands in a step's result. It can be handed on; whoever looks at it hears CannotTell that names it.

    A mapping, as results are, so that it may lie inside of others; and empty, so that what is written of them shows nothing.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def tell(self, *_: object) -> NoReturn:
        """Raises CannotTell."""
        raise CannotTell(self.what)

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = __ne__ = keys = values = items = (
        get
    ) = tell
    __hash__ = None

    def __repr__(self) -> str:
        return f"NotKnown({self.what!r})"

    def __deepcopy__(self, _: object) -> NotKnown:
        return self
