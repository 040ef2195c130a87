"""The proof's own proof: twenty-seven bugs, planted one at a time in a copy, each found or missed.

Run `python -m tests.proof.plant`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.proof.__main__ import ProofProcess

ROOT = Path(__file__).parents[2]
PARTS = ("orchestrator", "connectors", "api", "playbooks", "tests/proof")
ACTIVITIES = "orchestrator/engine/activities"


class PlantedBug(NamedTuple):
    """A small replacement in a file, which must contain `old` exactly once."""

    sentence: str
    file: str
    old: str
    new: str
    slow: bool = False
    """Whether it is found with slow calls only."""
    real: bool = False
    """Whether it is found on Temporal's real server only."""


BUGS = (
    PlantedBug(
        "no lease is registered by a plan",
        f"{ACTIVITIES}/plan.py",
        "    return request.lease and holds and request.call.ref.run.mode is Mode.LIVE",
        "    return False",
    ),
    PlantedBug(
        "a containment is lifted while another lease lives",
        f"{ACTIVITIES}/undo.py",
        "        if others := await containments.count_live_leases(session, containment.key, but=lease.id):",
        "        if (\n"
        "            others := await containments.count_live_leases(session, containment.key, but=lease.id)\n"
        "        ) > 1:",
    ),
    PlantedBug(
        "a target that was contained once counts as ours forever",
        "orchestrator/containments/release_scope.py",
        "    await effects.mark_undone(session, gone, now, by)\n",
        "    await effects.mark_undone(session, [], now, by)\n",
    ),
    PlantedBug(
        "the intent is not in the audit trail",
        f"{ACTIVITIES}/effect_records.py",
        "    event = step_event(call.ref, EventKind.STEP_INTENDED, data, now, change.digest)\n"
        "    await trail.record_all(session, [event])\n",
        "    del data\n",
    ),
    PlantedBug(
        "an approval of some changes covers all of them",
        "orchestrator/approvals/decision_reply.py",
        "    return agreed_changes(\n"
        '        asked, ((each.form or {}).get("changes") for each in approving_decisions(row, decisions))\n'
        "    )\n",
        "    return tuple(asked)\n",
    ),
    PlantedBug(
        "a lease ends some minutes too early",
        f"{ACTIVITIES}/hold.py",
        "                until = now + timedelta(seconds=request.seconds)",
        "                until = now + timedelta(seconds=request.seconds, minutes=-15)",
    ),
    PlantedBug(
        "a lost reply counts as a refusal, so that no one owns what may have been applied",
        f"{ACTIVITIES}/apply.py",
        "        except Rejected as error:",
        "        except (Rejected, Unknown) as error:",
    ),
    PlantedBug(
        "an extension is confirmed, and the lease ends when it would have ended before",
        "orchestrator/containments/release.py",
        "            await containments.set_lease_end(session, item.id, end)",
        "            await containments.set_lease_end(session, item.id, min(end, item.until or end))",
    ),
    PlantedBug(
        "the kill switch is not read when a change is evaluated",
        "orchestrator/policy/evaluate.py",
        "    for switch in facts.switches:",
        "    for switch in facts.switches[:0]:",
    ),
    PlantedBug(
        "a lifted containment is not recorded as lifted, and is lifted again",
        f"{ACTIVITIES}/undo.py",
        '                await mark_released(session, containment, request.actor, "it was undone", now)',
        "                containment.state = ContainmentState.HELD",
    ),
    PlantedBug(
        "a target is held while people are still asked about it",
        f"{ACTIVITIES}/plan.py",
        "    return not change.changed or change.digest in (request.approved or ())",
        "    return True",
    ),
    PlantedBug(
        "a release undoes its effects whole, also what other containments hold of them",
        f"{ACTIVITIES}/undo.py",
        "        return _Undo(scope.to_undo, containment.key, scope.keep)",
        "        return _Undo(scope.effects, containment.key, ())",
    ),
    PlantedBug(
        "a release undoes the effects of its own containment only",
        "orchestrator/containments/release_scope.py",
        "        if effect.containment_key != containment.key\n",
        "        if effect.containment_key == ''\n",
    ),
    PlantedBug(
        "a restore leaves the leases on its target, so that a drift check contains it again",
        f"{ACTIVITIES}/effect_records.py",
        "            await complete_restore(session, change, effect_id, call.ref.run.run_id, now)",
        "            await abandon_restore(session, change)",
    ),
    PlantedBug(
        "what never was contained is listed as lifted",
        "orchestrator/store/search/conditions.py",
        "    yield ~never\n",
        "    del never\n",
    ),
    PlantedBug(
        "the second of two runs that contain the same fails instead of waiting",
        f"{ACTIVITIES}/apply.py",
        "                return await _busy(session, request, verdict, detail, other.run_id, now)",
        '                raise Rejected(f"run {other.run_id} is applying the same")',
        slow=True,
    ),
    PlantedBug(
        "a plan does not wait until the containment of its target is lifted",
        f"{ACTIVITIES}/plan.py",
        "                if busy := await _busy_reason(session, change, now):",
        "                if (busy := await _busy_reason(session, change, now)) and not change:",
        slow=True,
    ),
    PlantedBug(
        "a release does not wait while its containment is being applied",
        f"{ACTIVITIES}/undo.py",
        "        in_flight = await apply_in_flight(session, scope.effects, request, now)",
        "        in_flight = await apply_in_flight(session, (), request, now)",
        slow=True,
    ),
    PlantedBug(
        "a step counts as released while it is being applied, as another lease holds its target",
        f"{ACTIVITIES}/undo.py",
        "            if wait := await apply_in_flight(session, [own] if own else [], request, now):",
        "            if wait := await apply_in_flight(session, [], request, now):",
        slow=True,
    ),
    PlantedBug(
        "what a release kept for another containment counts as undone once no lease holds it",
        "orchestrator/containments/release_scope.py",
        "rows, containments.in_force_within)",
        "rows, containments.held_within)",
        slow=True,
    ),
    PlantedBug(
        "a refused containment takes another one's effect, which is on its way, for its own",
        "orchestrator/containments/release_scope.py",
        "        if earlier is not None and (earlier.state.is_applied or containment.was_in_force):",
        "        if earlier is not None:",
        slow=True,
    ),
    PlantedBug(
        "a run that is cancelled waits until its plan can be made",
        "orchestrator/engine/temporal/port.py",
        "        return await read_activity(Activity.PLAN, request, PlanReply, step)",
        "        return await shielded(read_activity(Activity.PLAN, request, PlanReply, step))",
    ),
    PlantedBug(
        "what Temporal's server itself writes into a history stops the run",
        "orchestrator/engine/temporal/codec.py",
        '            return _text(payload.data.decode("utf-8", "replace")[:MAX_SERVER_TEXT])',
        '            raise Invalid("a payload from Temporal is not encrypted")',
        real=True,
    ),
    PlantedBug(
        "a deferred run never begins",
        "orchestrator/runs/deferred.py",
        "                    run.begin_deferred(now)",
        "                    run.dispatched = False",
    ),
    PlantedBug(
        "a deferred run begins although its source has no place",
        "orchestrator/runs/deferred.py",
        "        if most_open and open_[run.severity] + len(due) >= most_open:",
        "        if most_open and open_[run.severity] + len(due) > most_open:",
    ),
    PlantedBug(
        "a release that was cut short is not tried again",
        "orchestrator/store/queries/containments/due.py",
        "for wanted in (over, again) for row",
        "for wanted in (over,) for row",
    ),
    PlantedBug(
        "what was just contained is not read back later",
        "orchestrator/store/tables/containments.py",
        "        self.verified_at = self.checked_at = now",
        "        self.verified_at, self.checked_at = now, None",
    ),
)


def main() -> int:
    """Exit 1 when a bug is missed, or can no longer be planted."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.plant", description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000, help="played at most to find a bug")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=("skipping", "real"), default="skipping")
    parser.add_argument("--only", type=int, help="the number of one bug")
    parser.add_argument("--check", action="store_true", help="only check that all can be planted")
    given = parser.parse_args()
    chosen = [(n, bug) for n, bug in enumerate(BUGS, 1) if given.only in {None, n}]
    if given.check:
        results = [_can_be_planted(n, bug, ROOT) for n, bug in chosen]
    else:
        results = [_is_found(n, bug, given) for n, bug in chosen]
    return 0 if all(results) else 1


def _can_be_planted(number: int, bug: PlantedBug, root: Path) -> bool:
    count = (root / bug.file).read_text().count(bug.old)
    if count != 1:
        print(
            f"{number:2} CANNOT BE PLANTED  {bug.sentence}: {bug.file} contains it {count} times",
            flush=True,
        )
    return count == 1


def _is_found(number: int, bug: PlantedBug, given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="tocsin-planted-") as folder:
        copy = Path(folder)
        for part in PARTS:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        if not _can_be_planted(number, bug, copy):
            return False
        planted = copy / bug.file
        planted.write_text(planted.read_text().replace(bug.old, bug.new))
        numbers = ["--sequences", str(given.sequences), "--seed", str(given.seed)]
        server = "real" if bug.real else given.server
        arguments = ["--one", "--root", str(copy), "--server", server, *numbers]
        arguments += ["--slow"] if bug.slow else []
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        report = ProofProcess(arguments, folder=copy, environment=environment).report()
    found, played = bool(report["error"]), report["sequences"]
    outcome = f"found after {played:3}" if found else f"MISSED in {played}"
    print(f"{number:2} {outcome}  {bug.sentence}\n     {(report['error'] or '')[:200]}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
