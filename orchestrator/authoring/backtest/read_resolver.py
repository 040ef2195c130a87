"""Answers to the reads and plans of a backtest: recorded ones, else those of a fallback."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from connectors.capabilities import ALL_CAPABILITIES
from orchestrator.authoring.backtest.history_index import HistoryIndex
from orchestrator.authoring.rehearsal.actions import action_name, target_of
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.contracts.change import StepCall
from orchestrator.domain.digest import input_digest
from orchestrator.playbook.language.unknown import CannotTell, UnknownValue
from orchestrator.store.queries.history import RecordedStep, StoredAlert


class ReadFallback(StrEnum):
    """What answers a read without a record."""

    RECORDED = "recorded"  # nothing: the outcome of the alert is unknown from there on
    LIVE = "live"  # the real system, now
    STUB = "stub"  # a stub of tests.yaml; without one, as UNKNOWN
    UNKNOWN = "unknown"  # nothing: steps that need the answer are unknown too, and the run goes on


class NotRecorded(CannotTell):
    """Nothing was recorded, and there is no fallback."""


Fetch = Callable[[str, datetime], Awaitable[Sequence[RecordedStep]]]
"""Loads the records of one digest, nearest to a moment."""
Live = Callable[[StepCall], Awaitable[dict[str, Any]]]
"""Reads from the real system."""
Joined = Callable[[str], Awaitable[Sequence[StoredAlert]]]
"""Loads the alerts of an incident, oldest first."""


@dataclass
class ReadResolver:
    """Answers reads and plans from records, else from the fallback."""

    index: HistoryIndex
    fallback: ReadFallback
    stubs: Mapping[str, Stub]
    fetch: Fetch
    joined: Joined
    live: Live | None = None
    counts: Counter[str] = field(default_factory=Counter)  # reads by what answered them
    _fetched: set[str] = field(default_factory=set)
    _live_answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    _latest: tuple[StepCall | None, str] = (None, "")

    async def prepare(self, call: StepCall, alert: StoredAlert) -> None:
        """Load what may answer a call. Raises ActionError of a live read."""
        digest = self._digest(call)
        known = (
            self.index.planned(digest, alert)
            if call.effect.changes
            else self.index.read(digest, alert)
        )
        if known is None and digest not in self._fetched:
            self._fetched.add(digest)
            self.index.add(await self.fetch(digest, alert.received_at))
            known = None if call.effect.changes else self.index.read(digest, alert)
        if (
            known is None
            and self.live is not None
            and not call.effect.changes
            and digest not in self._live_answers
        ):
            self._live_answers[digest] = await self.live(call)

    def read(self, call: StepCall, alert: StoredAlert) -> dict[str, Any]:
        """Return the answer to a read. Raises NotRecorded."""
        digest = self._digest(call)
        if (found := self.index.read(digest, alert)) is not None:
            self.counts["recorded"] += 1
            return found
        if digest in self._live_answers:
            self.counts["live"] += 1
            return self._live_answers[digest]
        if (
            self.fallback is ReadFallback.STUB
            and (stub := self.stubs.get(action_name(call))) is not None
            and stub.fails is None
        ):
            self.counts["stub"] += 1
            return stub.outputs[0] if stub.outputs else stub.output
        self.counts["unknown"] += 1
        what = f"what {action_name(call)} would answer at step {call.ref.path} was not recorded"
        if self.fallback is ReadFallback.RECORDED:
            raise NotRecorded(what)
        return UnknownValue(what)

    def planned(self, call: StepCall, alert: StoredAlert) -> dict[str, Any]:
        """Return the recorded planned change; without a record, one that changes something."""
        if (
            found := self.index.planned(self._digest(call), alert)
        ) is not None and found.planned_change is not None:
            return found.planned_change
        target = target_of(call)
        what = f"{call.action.replace('_', ' ')} {target.value}".capitalize()[:500]
        return {"target": target.model_dump(mode="json"), "changed": True, "summary": what}

    def output(self, call: StepCall, alert: StoredAlert) -> dict[str, Any]:
        """Return the output of a change; without a record, each of its fields is unknown."""
        found = self.index.planned(self._digest(call), alert)
        output = found.result if found is not None and isinstance(found.result, dict) else {}
        if self.fallback is ReadFallback.STUB and not output:
            output = self.stubs.get(action_name(call), Stub()).output
        fields = _fields(call.capability, call.action)
        unknown = {
            name: UnknownValue(
                f"{name} of {action_name(call)} at step {call.ref.path}, which was not applied then"
            )
            for name in fields
        }
        return {**unknown, **output}

    def _digest(self, call: StepCall) -> str:
        # One call is looked up several times in a row.
        if self._latest[0] is not call:
            self._latest = (call, input_digest(call.connection, call.action, call.input))
        return self._latest[1]


def _fields(capability: str, action: str) -> Sequence[str]:
    for each in ALL_CAPABILITIES:
        if each.capability == capability:
            try:
                output = each.spec(action).output
            except KeyError:
                return ()
            return list(output.model_fields) if output is not None else ()
    return ()
