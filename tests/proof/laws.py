"""What must hold whatever happens? The laws of the engine: some at the very moment of a change, the others whenever all is quiet."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from connectors.sdk.call import Call
from orchestrator.domain.change import Change
from tests.proof.devices import Kind
from tests.proof.ledger import Ledger
from tests.proof.model import Broken, Model, Target
from tests.proof.stage import Stage

DRIFT = timedelta(hours=2)
"""After so long every check has been made that was due."""


class Laws:
    """Of one sequence. What is found at the moment of a change is kept, as the engine would swallow what is raised in its calls."""

    def __init__(self, stage: Stage, model: Model) -> None:
        self._stage, self._model = stage, model
        self._last_down: Counter[str] = (
            Counter()
        )  # by target: the trail's last event at that moment
        self._last_up: Counter[str] = Counter()
        self.broken: list[str] = []
        stage.journal.on_change = self._on_change
        for connector in stage.connectors.values():
            connector.on_apply = self._on_apply

    @property
    def _ledger(self) -> Ledger:
        return self._stage.ledger

    def check_kept(self) -> None:
        """Raises Broken for what was found while something was changed."""
        if self.broken:
            raise Broken("; ".join(self.broken))

    def _on_change(self, kind: Kind, name: str) -> None:
        target = self._model.targets[name]
        match kind:
            case "up":
                self._on_up(target)
            case "down":
                self._on_down(target)

    def _on_up(self, target: Target) -> None:
        if not self._ledger.intents_since(target.name, self._last_down[target.name]):
            self._found(f"{target.name} was contained without a recorded intent")
        self._last_up[target.name] = self._ledger.last_event()

    def _on_down(self, target: Target) -> None:
        key, before = self._ledger.key_of(target.name), self._stage.journal.of(target.name)[:-1]
        if not before or before[-1] != "up":
            self._found(
                f"{target.name} was released though it was not we who contained it: {before}"
            )
        if key is None or not self._ledger.undo_intents_since(key, self._last_up[target.name]):
            self._found(f"{target.name} was released without a recorded intent")
        if target.held(self._stage.clock.now()):
            self._found(
                f"{target.name} was released while a lease on it lived: {list(target.holds.values())}"
            )
        if self._ledger.count("leases WHERE containment_key = ? AND state = 'live'", key):
            self._found(f"{target.name} was released while the store has a live lease on it")
        self._last_down[target.name] = self._ledger.last_event()

    def _on_apply(self, planned_change: dict[str, Any], call: Call) -> None:
        effect = self._ledger.newest_effect(call.run_id, call.step_id)
        if effect is None:
            self._found(
                f"step {call.step_id} of {call.run_id} was applied without a recorded intent"
            )
            return
        change = Change.model_validate(json.loads(effect["change"]))
        if change.planned_change != planned_change or change.digest != effect["change_digest"]:
            self._found(f"what was applied to {change.target} is not what was recorded as intended")
        if self._model.halted:
            self._found(f"{change.target} was contained though that was stopped ({self._why()})")
        self._agreed(effect, self._model.asks or self._model.runs[call.run_id].way.asks)

    def _agreed(self, effect: dict[str, Any], asks: bool) -> None:
        approval = effect["approval_id"]
        if approval is None and asks:
            self._found(f"{effect['target_value']} was contained though nobody was asked")
        if approval is not None and effect["change_digest"] not in self._ledger.agreed(approval):
            self._found(f"{effect['target_value']} was contained by a change that was not approved")

    def _why(self) -> str:
        return "kill switch" if self._model.killed else "policy"

    def _found(self, what: str) -> None:
        self.broken.append(what)

    def unmet(self) -> str | None:
        """Which law does not hold at this moment; None when all do. Soon after something was done it may not hold yet."""
        return (
            self._runs()
            or self._leases()
            or next(
                (why for each in self._model.targets.values() if (why := self._target(each))), None
            )
        )

    def _runs(self) -> str | None:
        for run in self._model.runs.values():
            if run.status == "running" and not run.way.lasts:
                return f"run {run.id} ({run.way.name}) goes on and on"
            if run.cancelled and run.open:
                return f"run {run.id} ({run.way.name}) was cancelled, and goes on"
            if (
                run.status == "failed" and not run.troubled and not run.touched
            ):  # what people release meanwhile cannot be verified
                why = self._ledger.rows("SELECT error FROM runs WHERE id = ?", run.id)
                return (
                    f"run {run.id} ({run.way.name}) failed though nothing stood in its way: {why}"
                )
        if self._ledger.count(
            "approvals WHERE state IN ('approved', 'declined') AND NOT delivered"
        ):
            return "a run has not heard of a decision"
        return None

    def _leases(self) -> str | None:
        if late := self._ledger.rows(
            "SELECT id FROM leases WHERE state = 'live' AND until <= ?", _text(self._stage)
        ):
            return f"the time of {late} is up"
        if idle := self._ledger.rows(
            "SELECT target_value, state, error FROM containments WHERE state IN ('lifting', 'stuck')"
        ):
            return f"a release does not come to its end: {idle}"
        return None

    def _target(self, target: Target) -> str | None:
        now, shown = self._stage.clock.now(), self._stage.devices[target.system].shows(target.name)
        if target.held(now) and not shown and not self._may_be_gone(target):
            return f"{target.name} is held, and yet not contained: {list(target.holds.values())}"
        if target.free(now) and not self._model.waited_for(target.name) and shown != target.by_hand:
            return f"{target.name} is held by nobody, and yet {'contained' if shown else 'no longer as it was before us'}"
        return None

    def _may_be_gone(self, target: Target) -> bool:
        """The device has lost it, and it is not time yet to have found out, or nobody wants it back on the device."""
        if target.forgot is None or self._stage.journal.of(target.name)[-1:] != ["forgot"]:
            return False
        due = self._stage.clock.now() > target.forgot + DRIFT
        return (
            not due
            or not self._model.reapplies
            or self._model.policy != "allow"
            or self._model.killed
        )

    def check_end(self) -> None:
        """When everything was released, and time has passed. Raises Broken."""
        ledger = self._ledger
        if left := ledger.rows("SELECT id, state, until FROM leases WHERE state = 'live'"):
            raise Broken(f"leases live on though everything was released: {left}")
        if left := ledger.rows(
            "SELECT target_value, state, error FROM containments WHERE state != 'lifted'"
        ):
            raise Broken(f"not everything was lifted: {left}")
        if left := ledger.rows("SELECT id, status FROM runs WHERE ended_at IS NULL"):
            raise Broken(f"runs go on: {left}")
        if self._model.calm:
            undone = {
                call: times
                for each in self._stage.connectors.values()
                for call, times in each.undone.items()
            }
            if twice := {call: times for call, times in undone.items() if times != 1}:
                raise Broken(f"taken back more than once: {twice}")
            kinds = Counter(kind for kind, _ in self._stage.journal.entries)
            if not kinds["up"] == kinds["down"] == len(undone):
                raise Broken(
                    f"contained {kinds['up']} times, released {kinds['down']} times, by {len(undone)} undos"
                )


def _text(stage: Stage) -> str:
    return stage.clock.now().strftime("%Y-%m-%d %H:%M:%S.%f")
