"""The laws of the engine: some hold at the moment of a change, others when everything is quiet."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from connectors.sdk.call import ActionCall
from orchestrator.domain.change import Change
from tests.proof.deferrals import excess, unused_place
from tests.proof.devices import Kind
from tests.proof.edge import addresses
from tests.proof.ledger import Ledger
from tests.proof.model import LawBroken, ProofModel, ProofTarget
from tests.proof.stage import ProofStage

DRIFT = timedelta(hours=2)
"""After this time, every drift check that was due has run."""


class Laws:
    """The laws of one sequence. A law that is broken during a call is kept until `check_kept`."""

    def __init__(self, stage: ProofStage, model: ProofModel) -> None:
        self._stage, self._model = stage, model
        # By target: the last event of the trail at that moment.
        self._last_down: Counter[str] = Counter()
        self._last_up: Counter[str] = Counter()
        self.broken: list[str] = []
        stage.journal.on_change = self._on_change
        stage.edge.on_change = self._on_edge
        for connector in stage.connectors.values():
            connector.on_apply = self._on_apply

    @property
    def _ledger(self) -> Ledger:
        return self._stage.ledger

    def check_kept(self) -> None:
        """Raise LawBroken for what was found during a change."""
        if self.broken:
            raise LawBroken("; ".join(self.broken))

    def _on_change(self, kind: Kind, name: str) -> None:
        target = self._model.targets[name]
        match kind:
            case "up":
                self._on_up(target)
            case "down":
                self._on_down(target)

    def _on_up(self, target: ProofTarget) -> None:
        since = self._last_down[target.name]
        undone = target.name if self._model.is_restoring(target) else ""
        if not self._ledger.intents_since(target.name, since) and not (
            self._ledger.undo_intents_of(undone, since)
        ):
            self._found(f"{target.name} was contained without a recorded intent")
        self._last_up[target.name] = self._ledger.last_event()

    def _on_down(self, target: ProofTarget) -> None:
        key, before = self._ledger.key_of(target.name), self._stage.journal.of(target.name)[:-1]
        if self._model.is_restoring(target):
            since = self._last_up[target.name]
            if not self._ledger.intents_since(target.name, since) and not (
                self._ledger.undo_intents_of(target.name, since)
            ):
                self._found(f"{target.name} was restored without a recorded intent")
            self._last_down[target.name] = self._ledger.last_event()
            return
        if not before or before[-1] != "up":
            self._found(
                f"{target.name} was released although Tocsin had not contained it: {before}"
            )
        if key is None or not self._ledger.undo_intents_since(key, self._last_up[target.name]):
            self._found(f"{target.name} was released without a recorded intent")
        if target.is_held(self._stage.clock.now()):
            self._found(
                f"{target.name} was released while a lease on it lived: {list(target.holds.values())}"
            )
        if self._ledger.count("leases WHERE containment_key = ? AND state = 'live'", key):
            self._found(f"{target.name} was released while the store has a live lease on it")
        self._last_down[target.name] = self._ledger.last_event()

    def _on_edge(self, added: set[str], removed: set[str]) -> None:
        self._model.ever |= added
        now = self._stage.clock.now()
        for target in self._edge_targets():
            lost = removed & addresses(target.name)
            if lost and target.is_held(now) and not self._model.is_restoring(target):
                self._found(f"{sorted(lost)} of {target.name} were released, and a lease holds it")
            if lost & self._foreign() and not self._model.is_restoring(target):
                self._found(f"{sorted(lost)} were released, and are not Tocsin's")

    def _edge_targets(self) -> list[ProofTarget]:
        return [each for each in self._model.targets.values() if each.system == "edge"]

    def _foreign(self) -> set[str]:
        return {
            address
            for target in self._edge_targets()
            if target.by_hand
            for address in addresses(target.name)
        }

    def _edge(self) -> str | None:
        """Return an address that is not blocked although a lease covers it, or the reverse."""
        now, blocked, targets = (
            self._stage.clock.now(),
            self._stage.edge.blocked,
            self._edge_targets(),
        )
        if any(target.uncertain for target in targets):
            return None
        foreign = self._foreign()
        for address in sorted(set().union(*(addresses(target.name) for target in targets))):
            covering = [target for target in targets if address in addresses(target.name)]
            held = any(target.is_held(now) for target in covering)
            free = all(
                target.is_free(now) and not self._model.is_awaited(target.name)
                for target in covering
            )
            if address not in blocked and (held or address in foreign) and not self._model.lost:
                return f"{address} is not blocked, and a lease or another administrator holds it"
            if address in blocked and free and address not in foreign:
                return f"{address} is blocked, and nothing holds it"
        return None

    def _on_apply(self, planned_change: dict[str, Any], call: ActionCall) -> None:
        effect = self._ledger.newest_effect(call.run_id, call.step_id)
        if effect is None:
            self._found(
                f"step {call.step_id} of {call.run_id} was applied without a recorded intent"
            )
            return
        change = Change.model_validate(json.loads(effect["change"]))
        if change.planned_change != planned_change or change.digest != effect["change_digest"]:
            self._found(f"the change applied to {change.target} is not the recorded intent")
        restores = effect["effect"] == "restore"
        if self._model.halted and (self._model.killed or not restores):
            self._found(f"{change.target} was contained though that was stopped ({self._why()})")
        asks = self._model.asks or self._model.runs[call.run_id].way.asks
        self._check_approved(effect, asks and not restores)

    def _check_approved(self, effect: dict[str, Any], asks: bool) -> None:
        approval = effect["approval_id"]
        if approval is None and asks:
            self._found(f"{effect['target_value']} was contained without an approval")
        if approval is not None and effect["change_digest"] not in self._ledger.approved_changes(
            approval
        ):
            self._found(f"{effect['target_value']} was contained by a change that was not approved")

    def _why(self) -> str:
        return "kill switch" if self._model.killed else "policy"

    def _found(self, what: str) -> None:
        self.broken.append(what)

    def unmet(self) -> str | None:
        """Return a law that does not hold now, or None. It may only not hold yet."""
        now = self._stage.clock.now()
        if too_many := excess(self._ledger, now):
            self._found(too_many)
        return (
            self._runs()
            or unused_place(self._ledger, now)
            or self._leases()
            or self._edge()
            or next(
                (why for each in self._model.targets.values() if (why := self._target(each))), None
            )
        )

    def _runs(self) -> str | None:
        for run in self._model.runs.values():
            if run.status == "running" and not run.way.lasts and not self._model.is_delayed(run):
                return f"run {run.id} ({run.way.name}) does not end"
            if run.cancelled and run.open:
                return f"run {run.id} ({run.way.name}) was cancelled, but does not end"
            if run.status in {"failed", "rolled_back"} and self._ledger.count(
                "runs WHERE id = ? AND error LIKE '%is applying the same%'", run.id
            ):
                return f"run {run.id} ({run.way.name}) failed because another run was faster"
            # What people release in the meantime cannot be verified.
            if run.status == "failed" and not run.troubled and not run.touched:
                why = self._ledger.rows("SELECT error FROM runs WHERE id = ?", run.id)
                return f"run {run.id} ({run.way.name}) failed without a reason: {why}"
        if self._ledger.count(  # a run that a person cancels meanwhile has no use for it
            "approvals JOIN runs ON runs.id = approvals.run_id"
            " WHERE state IN ('approved', 'declined') AND NOT delivered"
            " AND runs.status != 'cancelled'"
        ):
            return "a decision was not delivered to its run"
        return None

    def _leases(self) -> str | None:
        if late := self._ledger.rows(
            "SELECT id FROM leases WHERE state = 'live' AND until <= ?", _text(self._stage)
        ):
            return f"leases outlived their end: {late}"
        if early := self._ledger.rows(
            "SELECT leases.id FROM leases JOIN approvals"
            " ON approvals.run_id = leases.run_id AND approvals.path = leases.path"
            " WHERE leases.state = 'live' AND approvals.state = 'pending'"
            " AND NOT EXISTS (SELECT 1 FROM effects"
            " WHERE effects.run_id = leases.run_id AND effects.path = leases.path)"
        ):
            return f"leases are held before people have answered: {early}"
        if idle := self._ledger.rows(
            "SELECT target_value, state, error FROM containments WHERE state IN ('lifting', 'stuck')"
        ):
            return f"a release does not end: {idle}"
        return None

    def _target(self, target: ProofTarget) -> str | None:
        if target.system == "edge" or target.uncertain:
            return None
        now, shown = self._stage.clock.now(), self._stage.devices[target.system].shows(target.name)
        if target.is_held(now) and not shown and not self._may_be_gone(target):
            return f"{target.name} is held but not contained: {list(target.holds.values())}"
        if not target.is_free(now) or self._model.is_awaited(target.name):
            return None
        if shown != target.by_hand:
            return f"no lease holds {target.name}, but it is {'contained' if shown else 'not restored'}"
        if live := self._ledger.rows(
            "SELECT leases.id, leases.until FROM leases"
            " JOIN containments ON containments.key = leases.containment_key"
            " WHERE leases.state = 'live' AND containments.target_value = ?",
            target.name,
        ):
            return f"nothing holds {target.name}, but leases of it live: {live}"
        return None

    def _may_be_gone(self, target: ProofTarget) -> bool:
        """Return whether the device lost it, and the books say so, or no check was due yet."""
        if target.forgot is None or self._stage.journal.of(target.name)[-1:] != ["forgot"]:
            return False
        due = self._stage.clock.now() > target.forgot + DRIFT
        if not due or self._model.killed or self._model.was_away:
            return True
        if self._model.reapplies and self._model.policy == "allow":
            return False
        return bool(
            self._ledger.rows(
                "SELECT key FROM containments WHERE state = 'held' AND drift IS NOT NULL"
                " AND target_value = ?",
                target.name,
            )
        )

    def check_end(self) -> None:
        """Check the end: everything was released, and time has passed. Raise LawBroken."""
        ledger = self._ledger
        if left := ledger.rows("SELECT id, state, until FROM leases WHERE state = 'live'"):
            raise LawBroken(f"leases live although everything was released: {left}")
        if left := ledger.rows(
            "SELECT target_value, state, error FROM containments WHERE state != 'lifted'"
        ):
            raise LawBroken(f"not everything was lifted: {left}")
        if left := ledger.rows("SELECT id, status FROM runs WHERE ended_at IS NULL"):
            raise LawBroken(f"runs did not end: {left}")
        if self._model.calm and not self._model.restored:
            undone = {
                call: times
                for name, each in self._stage.connectors.items()
                if name != "edge"  # what others hold of an effect is undone later
                for call, times in each.undone.items()
            }
            if twice := {call: times for call, times in undone.items() if times != 1}:
                raise LawBroken(f"undone more than once: {twice}")
            kinds = Counter(kind for kind, _ in self._stage.journal.entries)
            if not kinds["up"] == kinds["down"] == len(undone):
                raise LawBroken(
                    f"contained {kinds['up']} times, released {kinds['down']} times, by {len(undone)} undos"
                )


def _text(stage: ProofStage) -> str:
    return stage.clock.now().strftime("%Y-%m-%d %H:%M:%S.%f")
