"""The state of the trail, as a process finds it by itself."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.continuity import check_trail
from orchestrator.runtime import Runtime
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

    broken: str | None
    """What does not continue; None where everything does."""
    quarantine: Quarantine

    @property
    def is_intact(self) -> bool:
        """Return whether nothing is wrong."""
        return self.broken is None and not self.quarantine.total

    @property
    def reasons(self) -> list[str]:
        """What is wrong, in sentences."""
        found = [self.broken] if self.broken else []
        return [*found, str(self.quarantine)] if self.quarantine.total else found


async def trail_state(rt: Runtime) -> TrailState:
    """Return the state of the trail against what this machine remembers."""
    try:
        await check_trail(rt)
        broken = None
    except BrokenTrail as error:
        broken = str(error)
    return TrailState(broken, await load_quarantine(rt))


async def load_quarantine(rt: Runtime) -> Quarantine:
    """Return which events are quarantined."""
    async with rt.store.read() as session:
        total, first = await audit.quarantined(session, _NAMED)
    return Quarantine(total, tuple(f"event {number} ({id_[:80]})" for number, id_ in first))
