"""Which key signs which batches: the first key, and each that a change in the trail names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.audit.keys.change import KeyChange
from orchestrator.crypto.signing import PublicKey


class Signed(Protocol):
    """Something that a key of the trail signed."""

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether the key signed it as it is."""


class KeyHistory:
    """The keys of a trail in order, each from a batch on."""

    def __init__(self, first: PublicKey) -> None:
        self._keys = [(1, first)]

    @property
    def current(self) -> PublicKey:
        """The key that signs the next batch."""
        return self._keys[-1][1]

    @property
    def keys(self) -> list[PublicKey]:
        """All keys, oldest first."""
        return [key for _, key in self._keys]

    def follow(self, changes: Sequence[KeyChange], batch: int, signer: PublicKey) -> str | None:
        """Take the changes that one batch seals; return why not where they do not fit.

        The old key signs the batch of its change. Where a restore gave that batch up, the new key
        repeats the statement in a batch that it signs itself.
        """
        new: list[PublicKey] = []
        for change in changes:
            if change.old != (new[-1] if new else self.current):
                return f"it changes key {change.old.id}, which does not sign the trail there"
            if change.new in (*self.keys, *new):
                return f"it changes to key {change.new.id}, which was retired before"
            new.append(change.new)
        if signer == self.current and len(new) == 1:
            first = batch + 1
        elif new and signer == new[-1]:
            first = batch
        else:
            return "it does not name the key that goes on"
        self._keys += [(first, key) for key in new]
        return None

    def skip_to(self, key: PublicKey, batch: int) -> None:
        """Go on with a key from a batch on, where the change to it is missing."""
        self._keys.append((batch, key))

    def in_charge(self, batch: int) -> PublicKey:
        """Return the key that signs a batch."""
        return next(key for first, key in reversed(self._keys) if first <= max(batch, 1))

    def last_batch_of(self, key: PublicKey) -> int | None:
        """Return the last batch of a retired key; None for the current key, and another one."""
        for (_, each), (end, _) in zip(self._keys, self._keys[1:], strict=False):
            if each == key:
                return end - 1
        return None

    def vouches(self, batch: int, statement: Signed) -> bool:
        """Return whether a key that was not retired before a batch signed a statement about it."""
        in_charge = self.in_charge(batch)
        keys = self.keys
        return any(statement.signed_by(key) for key in keys[keys.index(in_charge) :])
