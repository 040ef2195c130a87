"""Poison value for results unknown in a backtest; any use raises CannotTell.

Why not a library: a sentinel such as `unittest.mock.sentinel` or `attrs.NOTHING` compares and tests
as an ordinary object, so that a condition over it would yield an answer instead of an error. Mock
objects answer every call. Taint-tracking libraries follow values through Python bytecode, which is
far more than a value that refuses to be read.
"""

from __future__ import annotations

from typing import Any, NoReturn


class CannotTell(Exception):
    """The outcome depends on an unknown value, which the text names.

    Not a failure of the playbook: `on_error` of a step must not catch it.
    """


class UnknownValue(dict[str, Any]):
    """A result that is not known. It can be passed on, but not read.

    It is a mapping, as results are, so that it can stand inside of others. It is empty, so that
    serializing it reveals nothing.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def refuse(self, *_: object) -> NoReturn:
        """Raise CannotTell with the name of the unknown value."""
        raise CannotTell(self.what)

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = __ne__ = keys = values = items = (
        get
    ) = refuse
    __hash__ = None

    def __repr__(self) -> str:
        return f"UnknownValue({self.what!r})"

    def __deepcopy__(self, _: object) -> UnknownValue:
        return self
