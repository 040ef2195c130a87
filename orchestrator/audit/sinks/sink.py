"""What a sink is: a receiver of sealed batches, outside the reach of the database's owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.domain.errors import Unavailable

SEND_SECONDS = 15.0
"""How long one delivery may take."""


class SinkUnavailable(Unavailable):
    """The sink did not take a delivery: it is sent again."""


@dataclass(frozen=True, slots=True)
class SinkDelivery:
    """The lines of one sealed batch: its events, the batch, and the checkpoint after it.

    A delivery of the checkpoint alone shows an idle sink that the trail still ends there.
    """

    checkpoint: Checkpoint
    lines: tuple[bytes, ...]
    """Each with its newline, as in an export; the checkpoint is the last."""
    restored: bool = False
    """Whether the batch has the event of a restore, after which the trail goes on."""

    @property
    def id(self) -> str:
        """Return the same id for the same batch, so that a receiver drops repetitions."""
        return f"audit_{self.checkpoint.batch}_{self.checkpoint.digest[:24]}"


class Sink(Protocol):
    """A receiver. It may get a batch again whose delivery was not acknowledged."""

    name: str
    """Its address, without anything secret."""

    async def send(self, delivery: SinkDelivery) -> None:
        """Return once the receiver has it. Raise SinkUnavailable, or BrokenTrail for a rewrite."""
