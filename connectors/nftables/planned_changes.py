"""Planned changes of nftables: the elements of a set to add and to remove."""

from __future__ import annotations

from connectors.nftables.intervals import Element
from orchestrator.domain.change import PlannedChange


class SetChange(PlannedChange):
    """Elements to add to the set of an IP version, and elements to remove. Undo is the inverse.

    A block adds only addresses that no other element blocks, so undo leaves other blocks unchanged.
    """

    version: int
    add: tuple[Element, ...] = ()
    remove: tuple[Element, ...] = ()
