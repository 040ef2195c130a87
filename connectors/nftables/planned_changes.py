"""Planned changes of nftables: the elements of a set to add and to remove."""

from __future__ import annotations

from connectors.nftables.intervals import Element
from orchestrator.domain.change import PlannedChange


class SetChange(PlannedChange):
    """Elements to add to the set of an IP version, and elements to remove.

    A block adds only addresses that no other element blocks. What it added is known by the comment,
    so that undo leaves the elements of others unchanged.
    """

    version: int
    add: tuple[Element, ...] = ()
    remove: tuple[Element, ...] = ()
