"""The state of the trail: whether it is what was sealed, and which events are quarantined."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.store.queries import audit

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Events that were written past Tocsin, which are never sealed."""

    total: int = 0
    named: tuple[str, ...] = ()
    """The first ones, by number and id."""

    def __str__(self) -> str:
        rest = f" and {self.total - len(self.named)} more" if self.total > len(self.named) else ""
        verb = "was" if self.total == 1 else "were"
        return (
            f"{', '.join(self.named)}{rest} {verb} written or changed past Tocsin, as the MAC does "
            "not match: not sealed, and not part of the audit trail"
        )


@dataclass(frozen=True, slots=True)
class TrailState:
    """Whether the trail is what was sealed."""

    broken: str | None = None
    """What does not continue; None where everything does."""
    quarantine: Quarantine = field(default_factory=Quarantine)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None and not self.quarantine.total

    @property
    def reasons(self) -> list[str]:
        """What is wrong, in sentences."""
        found = [self.broken] if self.broken else []
        return [*found, str(self.quarantine)] if self.quarantine.total else found


async def load_quarantine(session: AsyncSession, since: datetime | None) -> Quarantine:
    """Return which events were quarantined later than a moment."""
    total, first = await audit.quarantined(session, _NAMED, since)
    return Quarantine(total, tuple(f"event {number} ({id_[:80]})" for number, id_ in first))
