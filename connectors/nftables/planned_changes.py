"""What an nftables plan finds, and keeps so that the change can be taken back exactly."""

from __future__ import annotations

from connectors.nftables.intervals import Element
from orchestrator.domain.change import PlannedChange


class SetChange(PlannedChange):
    """Elements to add to the set of an IP version, and elements to remove; taking back is the other way round.

    A block adds only what nobody else blocks yet, so taking it back leaves everybody else's blocks as they are.
    """

    version: int
    add: tuple[Element, ...] = ()
    remove: tuple[Element, ...] = ()
