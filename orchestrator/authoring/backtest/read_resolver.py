"""What answers a step in a backtest? What was recorded; else what was chosen to stand for it; else it is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from connectors.capabilities import CAPABILITIES
from orchestrator.authoring.backtest.history_index import Past
from orchestrator.authoring.rehearsal.state import name_of, target_of
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.contracts.messages import ActionCall
from orchestrator.domain.digest import wish_digest
from orchestrator.playbook.language.unknown import CannotTell, NotKnown
from orchestrator.store.queries.history import Recorded, StoredAlert


class Reads(StrEnum):
    """What answers a step of which nothing was recorded."""

    RECORDED = "recorded"  # nothing: of this alert nothing can be told from there on
    LIVE = "live"  # the real system, now
    STUB = "stub"  # what a tests.yaml says; where it says nothing, as `unknown`
    UNKNOWN = (
        "unknown"  # nothing: the run goes on, and each step that needs the answer is unknown itself
    )


class NotRecorded(CannotTell):
    """Nothing was recorded, and nothing may stand for it."""


Fetch = Callable[[str, datetime], Awaitable[Sequence[Recorded]]]
"""The records of one digest, nearest to a moment."""
Live = Callable[[ActionCall], Awaitable[dict[str, Any]]]
"""A read of the real system."""
Joined = Callable[[str], Awaitable[Sequence[StoredAlert]]]
"""The alerts of an incident, oldest first."""


@dataclass
class Recollection:
    """What answers. `counts`: how many reads were answered from where."""

    past: Past
    reads: Reads
    stubs: Mapping[str, Stub]
    fetch: Fetch
    joined: Joined
    live: Live | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _asked: set[str] = field(default_factory=set)
    _living: dict[str, dict[str, Any]] = field(default_factory=dict)
    _latest: tuple[ActionCall | None, str] = (None, "")

    async def prepare(self, call: ActionCall, alert: StoredAlert) -> None:
        """Loads what may answer this. Raises ActionError of a live read."""
        digest = self._digest(call)
        known = (
            self.past.planned(digest, alert)
            if call.effect.changes
            else self.past.read(digest, alert)
        )
        if known is None and digest not in self._asked:
            self._asked.add(digest)
            self.past.add(await self.fetch(digest, alert.received_at))
            known = None if call.effect.changes else self.past.read(digest, alert)
        if (
            known is None
            and self.live is not None
            and not call.effect.changes
            and digest not in self._living
        ):
            self._living[digest] = await self.live(call)

    def read(self, call: ActionCall, alert: StoredAlert) -> dict[str, Any]:
        """What a read is taken to answer."""
        digest = self._digest(call)
        if (found := self.past.read(digest, alert)) is not None:
            self.counts["recorded"] += 1
            return found
        if digest in self._living:
            self.counts["live"] += 1
            return self._living[digest]
        if (
            self.reads is Reads.STUB
            and (stub := self.stubs.get(name_of(call))) is not None
            and stub.fails is None
        ):
            self.counts["stub"] += 1
            return stub.outputs[0] if stub.outputs else stub.output
        self.counts["unknown"] += 1
        what = f"what {name_of(call)} would answer at step {call.ref.path} was not recorded"
        if self.reads is Reads.RECORDED:
            raise NotRecorded(what)
        return NotKnown(what)

    def planned(self, call: ActionCall, alert: StoredAlert) -> dict[str, Any]:
        """The planned_change of then; without one, it is taken to change something."""
        if (
            found := self.past.planned(self._digest(call), alert)
        ) is not None and found.planned_change is not None:
            return found.planned_change
        target = target_of(call)
        what = f"{call.action.replace('_', ' ')} {target.value}".capitalize()[:500]
        return {"target": target.model_dump(mode="json"), "changed": True, "summary": what}

    def output(self, call: ActionCall, alert: StoredAlert) -> dict[str, Any]:
        """What a change told beside its planned_change; of one that was not made then, each field is unknown."""
        found = self.past.planned(self._digest(call), alert)
        told = found.result if found is not None and isinstance(found.result, dict) else {}
        if self.reads is Reads.STUB and not told:
            told = self.stubs.get(name_of(call), Stub()).output
        fields = _fields(call.capability, call.action)
        unknown = {
            name: NotKnown(
                f"{name} of {name_of(call)} at step {call.ref.path}, which was not made then"
            )
            for name in fields
        }
        return {**unknown, **told}

    def _digest(self, call: ActionCall) -> str:
        """One call is asked about several times in a row."""
        if self._latest[0] is not call:
            self._latest = (call, wish_digest(call.connection, call.action, call.input))
        return self._latest[1]


def _fields(capability: str, action: str) -> Sequence[str]:
    for each in CAPABILITIES:
        if each.capability == capability:
            try:
                output = each.spec(action).output
            except KeyError:
                return ()
            return list(output.model_fields) if output is not None else ()
    return ()
