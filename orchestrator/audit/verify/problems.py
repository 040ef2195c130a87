"""How many faults a report lists: the first hundred in full, the rest as a number, so that no file can fill memory."""

from __future__ import annotations

from collections.abc import Iterable

LISTED = 100


class Problems:
    """Sentences, in the order they were found."""

    def __init__(self) -> None:
        self._listed: list[str] = []
        self._more = 0

    def add(self, sentence: str) -> None:
        """One more."""
        if len(self._listed) < LISTED:
            self._listed.append(sentence)
        else:
            self._more += 1

    def extend(self, sentences: Iterable[str]) -> None:
        """Several more."""
        for sentence in sentences:
            self.add(sentence)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._listed)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Those listed, and how many are not."""
        rest = (f"and {self._more} more",) if self._more else ()
        return (*self._listed, *rest)
