"""The deeds of a sequence: what people, time and bad luck do, by the same calls as the API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import timedelta

from orchestrator.approvals.decide import decide
from orchestrator.audit.sealer import export_trail
from orchestrator.audit.verify.check import verify
from orchestrator.containments.queries import list_containments
from orchestrator.containments.release import change_lease, release
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Conflict, TocsinError
from orchestrator.policy.stops import kill_switches
from orchestrator.runs.lifecycle import cancel_run, start_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.store.search.filters import ContainmentFilter
from tests.proof.crashes import Moment
from tests.proof.deferrals import defer_run
from tests.proof.edge import addresses
from tests.proof.laws import Laws
from tests.proof.model import LawBroken, ProofModel, ProofRun, ProofTarget
from tests.proof.playbooks import BOTH, RESTORE, Variant
from tests.proof.restores import judge_restores
from tests.proof.stage import ProofStage

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER, Role.ADMIN))
STARTER = "person:starter"
_SOON = 0.15
"""Seconds of real time, on the server that skips time."""
_SOON_IN_REAL_TIME = 2.0
"""Seconds on the real server, where retries take their time."""
_PAUSES = (2, 2, 5, 15, 30, 60, 120, 300, 300, 600, 600, 900, 3600, 3600, 3600)
"""Seconds of virtual time that pass, one by one, until everything is quiet: retries need them."""
_CAME = """
SELECT run_id, path, state FROM steps WHERE state IN ('verified', 'done')
    OR state = 'failed' AND EXISTS (SELECT 1 FROM effects WHERE effects.run_id = steps.run_id AND effects.path = steps.path)
"""
_PATIENCE = 20.0
"""Seconds of real time that an activity may take."""


class ProofPlay:
    """One sequence."""

    def __init__(self, stage: ProofStage, targets: Sequence[ProofTarget]) -> None:
        self.stage = stage
        self.model = ProofModel({target.name: target for target in targets})
        self.laws = Laws(stage, self.model)

    async def start(self, target: ProofTarget, way: Variant) -> None:
        await self._start(
            f"{target.system}-{way.name}", way, {"target": target.name}, {"block": target.name}
        )

    async def start_two(self, target: ProofTarget, first: Variant, second: Variant) -> None:
        """Start two runs that contain the same, while the system takes long over a call."""
        self.slow(target.system, "apply:slow")
        await self.start(target, first)
        await self.start(target, second)

    async def start_during_release(self, target: ProofTarget, way: Variant) -> None:
        """Start a run while the system takes long to lift the containment of its target."""
        self.slow(target.system, "undo:slow")
        await self.release(target)
        async with self.stage.slow_calls.kept():
            await self.start(target, way)

    async def release_during_start(self, target: ProofTarget, way: Variant) -> None:
        """Release a target while the system takes long to contain it."""
        self.slow(target.system, "apply:slow")
        await self.start(target, way)
        async with self.stage.slow_calls.kept():
            await self.release(target)

    async def release_during_release(self, first: ProofTarget, second: ProofTarget) -> None:
        """Release a target while the system takes long to lift another."""
        self.slow(first.system, "undo:slow")
        await self.release(first)
        async with self.stage.slow_calls.kept():
            await self.release(second)

    async def start_refused(self, first: ProofTarget, second: ProofTarget, way: Variant) -> None:
        """Start two runs that are refused, the first one only after the second."""
        self.slow(first.system, "apply:slow")
        self.refuse(first.system)
        self.refuse(second.system)
        await self.start(first, way)
        async with self.stage.slow_calls.kept():
            await self.start(second, way)

    async def start_deferred(self, targets: Sequence[ProofTarget], way: Variant) -> None:
        """Start a run for each target, of a source that has no place for them now."""
        model, before = self.model, self.stage.clock.now()
        troubled = model.hinders or way.fails
        for target in targets:
            playbook, inputs = f"{target.system}-{way.name}", {"target": target.name}
            id_ = await defer_run(self.stage.rt, playbook, inputs)
            model.runs[id_] = ProofRun(id_, way, {"block": target.name}, before, troubled)
        await reconcile(self.stage.rt, self.stage.client)

    async def start_both(self, first: ProofTarget, second: ProofTarget) -> None:
        inputs = {"target": first.name, "other": second.name}
        await self._start(
            f"{first.system}-both",
            BOTH,
            inputs,
            {"group/block": first.name, "group/other": second.name},
        )

    async def _start(
        self, playbook: str, way: Variant, inputs: dict[str, str], paths: dict[str, str]
    ) -> None:
        troubled = self.model.hinders or way.fails
        before = self.stage.clock.now()
        stage = self.stage
        # Known before it begins, as the device may change before the call returns.
        started = await start_run(stage.rt, None, playbook, inputs=inputs, actor=STARTER)
        self.model.runs[started.id] = ProofRun(started.id, way, paths, before, troubled)
        await reconcile(stage.rt, stage.client)

    async def restore(self, target: ProofTarget) -> None:
        """Start a run that lifts the containment of a target, and of all that it covers."""
        model = self.model
        model.restored = True
        covered = [each for each in model.targets.values() if target.covers(each)]
        ends = [hold for each in covered for hold in each.holds.values() if not hold.over]
        for each in model.targets.values():
            if each.overlaps(target):
                model.touch(each.name)
        known = set(model.runs)
        await self._start(
            f"{target.system}-restore", RESTORE, {"target": target.name}, {"block": target.name}
        )
        for run in model.runs.values():
            if run.id not in known:
                run.ends = ends
                run.troubled |= target.system == "edge"  # a part of what a wider lease holds

    async def release(self, target: ProofTarget) -> None:
        key = self.stage.ledger.key_of(target.name)
        if key is None:
            return
        self.model.touch(target.name)
        held = [hold for hold in target.holds.values() if not hold.over]
        for hold in held:
            hold.unsure = True
        try:
            await release(self.stage.rt, key, actor="person:ann")
        except Conflict:
            return  # lifted already
        finally:
            for hold in held:
                hold.over, hold.unsure = True, False

    async def release_all(self) -> None:
        """Release every target at once."""
        await asyncio.gather(*map(self.release, self.model.targets.values()))

    async def change(self, target: ProofTarget, length: timedelta) -> None:
        """Let its leases end after `length`, later or sooner than before."""
        key = self.stage.ledger.key_of(target.name)
        if key is None:
            return
        self.model.touch(target.name)
        held = [
            hold for hold in target.holds.values() if not hold.has_ended(self.stage.clock.now())
        ]
        for hold in held:
            hold.unsure = True
        before = self.stage.clock.now()
        try:
            await change_lease(self.stage.rt, key, length=length, actor="person:ann")
        except Conflict:
            return
        else:
            for hold in held:
                hold.set_end(before + length, self.stage.clock.now() + length)
        finally:
            for hold in held:
                hold.unsure = False

    async def cancel(self, run: ProofRun) -> None:
        """Cancel a run, but not while an approval is being opened.

        The test server (not the real one) hangs when it cancels an activity that has just ended.
        """
        if not self.stage.is_real and (run.way.asks or self.model.asked_ever):
            await self.settle()
        run.cancelled = run.troubled = True
        for hold in self.model.holds_of(run.id):
            hold.unsure = True
        try:
            await cancel_run(self.stage.rt, self.stage.client, run.id, actor="person:ann")
        except Conflict:  # over already
            run.cancelled = False

    async def answer(self, number: int, how: str) -> None:
        """Decide an approval. `subset`: only its first change. `forged`: a digest of another one."""
        pending = self.stage.ledger.rows(
            "SELECT id, digest, changes, run_id FROM approvals WHERE state = 'pending' ORDER BY id"
        )
        if not pending:
            return
        asked = pending[number % len(pending)]
        run = self.model.runs[asked["run_id"]]
        digest = "0" * 64 if how == "forged" else asked["digest"]
        chosen = [_first_digest(asked["changes"])] if how == "subset" else None
        run.troubled |= how in {"decline", "subset"}
        decision = "decline" if how == "decline" else "approve"
        try:
            await decide(
                self.stage.rt, self.stage.client, asked["id"], ANN, decision, digest, changes=chosen
            )  # type: ignore[arg-type]
        except TocsinError:
            if how != "forged":
                raise
        else:
            if how == "forged":
                raise LawBroken("a decision with the digest of another approval was accepted")

    async def approve_restores(self) -> None:
        """Approve what restores ask, and nothing else: another run may contain the same again."""
        for row in self.stage.ledger.rows(
            "SELECT id, digest, run_id FROM approvals WHERE state = 'pending'"
        ):
            if self.model.runs[row["run_id"]].way.restores:
                await decide(
                    self.stage.rt, self.stage.client, row["id"], ANN, "approve", row["digest"]
                )

    async def kill(self) -> None:
        """Engage the kill switch, or lift it."""
        stage, model = self.stage, self.model
        if model.killed:
            await kill_switches.lift(stage.rt, "global", "*", actor="person:ann")
            model.killed = False
        else:
            self.trouble()
            model.killed = True
            await kill_switches.engage(stage.rt, "global", "*", "drill", actor="person:ann")
        model.relax()

    async def publish(self, verdict: str, *, reapply: bool) -> None:
        if verdict != "allow":
            self.trouble()
        being_cancelled = any(run.cancelled and run.open for run in self.model.runs.values())
        if not self.stage.is_real and verdict == "ask" and being_cancelled:
            await self.settle()  # as in `cancel`
        self.model.policy, self.model.reapplies = verdict, reapply
        self.model.asked_ever |= verdict == "ask"
        self.model.relax()
        await self.stage.publish(verdict, reapply=reapply)

    def refuse(self, system: str) -> None:
        """Let the system refuse the next change."""
        self.trouble(broken=True)
        self.stage.connectors[system].due.append("apply:refused")

    async def cancel_while_away(self, target: ProofTarget, way: Variant) -> None:
        """Start a run while its system answers no plan, and cancel it between two tries."""
        model = self.model
        self.trouble()
        model.away, model.was_away = target.system, True
        self.stage.away.add(target.system)
        known = set(model.runs)
        await self.start(target, way)
        await self.stage.pass_time(timedelta(minutes=30))
        for run in [run for run in model.runs.values() if run.id not in known and run.open]:
            await self.cancel(run)
        await self.settle()
        model.away = None
        self.stage.away.clear()

    def by_hand(self, target: ProofTarget) -> None:
        """Contain it on the device itself, before Tocsin does."""
        target.by_hand = True
        self.stage.journal.add("hand", target.name)
        if target.system == "edge":
            self.model.ever |= addresses(target.name)
        self.stage.devices[target.system].put(target.name, shown=True)

    def forget(self, target: ProofTarget) -> None:
        """Let the device lose a containment."""
        self.trouble(broken=True)
        target.forgot = self.stage.clock.now()
        if target.system == "edge":
            self.model.lost = True
            for each in self.model.targets.values():
                each.by_hand &= not each.overlaps(target)  # whole elements are lost
        self.stage.journal.add("forgot", target.name)
        self.stage.devices[target.system].put(target.name, shown=False)

    def crash(self, system: str, moment: Moment) -> None:
        self.trouble(broken=True)
        self.model.certain = False
        self.stage.connectors[system].due.append(moment)

    def slow(self, system: str, moment: Moment) -> None:
        """Let the next call take until everything else waits for it. No run may fail from that."""
        if not self.stage.is_real:  # there, it would take virtual hours
            self.stage.connectors[system].due.append(moment)

    def fault(self, system: str, kind: str) -> None:
        self.trouble(broken=True)
        self.model.certain = False
        self.stage.devices[system].inject(kind=kind)

    def trouble(self, *, broken: bool = False) -> None:
        """Allow open runs to fail from now on."""
        self.model.calm &= not broken
        for run in self.model.runs.values():
            run.troubled |= run.open

    async def pass_time(self, by: timedelta) -> None:
        for run in self.model.runs.values():
            # The time of its step may end before it is applied.
            run.troubled |= run.open and run.way.timeout is not None and not run.seen
        await self.stage.pass_time(by)

    async def settle(self) -> None:
        """Wait until all laws hold. Raise LawBroken if they never do."""
        for pause in (0, *_PAUSES):
            if pause:
                await reconcile(self.stage.rt, self.stage.client)
                await self.stage.pass_time(timedelta(seconds=pause))
                # The worker does so each second: a place that became free meanwhile is taken.
                await reconcile(self.stage.rt, self.stage.client)
            if await self._quiet(_SOON_IN_REAL_TIME if self.stage.is_real else _SOON):
                self.model.mark_quiet()
                await self._check_list()
                return
        raise LawBroken(self.laws.unmet() or "it does not come to rest")

    async def _check_list(self) -> None:
        """Raise LawBroken when a target that never was contained is listed as lifted."""
        if not self.model.certain:
            return
        listed = await list_containments(
            self.stage.rt, ContainmentFilter(state=(ContainmentState.LIFTED,))
        )
        for item in listed.items:
            target = self.model.targets[item.target.value]
            ever = self.stage.journal.of(target.name)
            if target.system == "edge":
                ever = sorted(self.model.ever & addresses(target.name))  # type: ignore[assignment]
            if not ever:
                raise LawBroken(f"{target.name} is listed as lifted, and never was contained")

    async def _quiet(self, seconds: float) -> bool:
        """Return whether all laws hold within `seconds`, not counting running activities."""
        began = time.monotonic()
        while True:
            self.look()
            self.laws.check_kept()
            if not self.stage.clock.busy and self.laws.unmet() is None:
                return True
            passed = time.monotonic() - began
            if passed > (_PATIENCE if self.stage.clock.busy else seconds):
                return False
            await asyncio.sleep(0.003)

    def look(self) -> None:
        """Update the model from what the runs report."""
        now, model = self.stage.clock.now(), self.model
        rows = {
            row["id"]: row for row in self.stage.ledger.rows("SELECT id, status, error FROM runs")
        }
        came = self.stage.ledger.rows(_CAME)
        for run in model.runs.values():
            run.status = rows[run.id]["status"]
        for row in came:
            run, path = model.runs[row["run_id"]], row["path"]
            if path in run.paths and path not in run.seen and not run.way.restores:
                run.seen.add(path)
                target = model.targets[run.paths[path]]
                target.holds[run.id] = hold = run.hold(now)
                hold.doubtful, hold.failed = target.name in run.touched, row["state"] == "failed"
        for run in model.runs.values():
            for hold in model.holds_of(run.id):
                hold.over |= run.status in {"rolled_back", "cancelled"} or (
                    run.way.fails and not run.open
                )
                hold.unsure = hold.doubtful or (run.open and (run.cancelled or run.way.fails))

        judge_restores(model, self.stage.ledger)

    async def end(self) -> None:
        """Release everything and check that nothing is left. Raise LawBroken."""
        stage, model = self.stage, self.model
        for name, device in stage.devices.items():
            device.clear_faults()
            stage.connectors[name].due.clear()
        if model.killed:
            await self.kill()
        await self.publish("allow", reapply=False)
        for run in model.runs.values():
            if run.open:
                await self.cancel(run)
        await self.settle()
        for target in model.targets.values():
            await self.release(target)
        await self.settle()
        await self.stage.pass_time(timedelta(hours=3))
        await self.settle()
        self.laws.check_end()
        await self._check_trail()

    async def _check_trail(self) -> None:
        path = self.stage.folder / "trail.jsonl"
        await export_trail(self.stage.rt, path)
        report = verify(path, self.stage.rt.audit_key.public)
        settings = self.stage.rt.settings
        settings.audit_head_path.unlink()  # the next sequence has its own trail
        settings.audit_anchor_path.unlink(missing_ok=True)
        path.unlink()
        if report.status != "intact":
            raise LawBroken(f"the trail is {report.status}: {report.findings}")


def _first_digest(changes: str) -> str:
    return str(json.loads(changes)[0]["digest"])
