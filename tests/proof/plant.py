"""Would the proof notification? Ten bugs, planted one at a time in a copy of the tree: `python -m tests.proof.plant`, found or missed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.proof.__main__ import Child

ROOT = Path(__file__).parents[2]
PARTS = ("orchestrator", "connectors", "api", "playbooks", "tests/proof")
ACTIVITIES = "orchestrator/engine/activities"


class Bug(NamedTuple):
    """A small replacement in a file. `old` has to be there once: else the engine has changed, and the bug is to be planted anew."""

    sentence: str
    file: str
    old: str
    new: str


BUGS = (
    Bug(
        "no lease is registered when a plan is made",
        f"{ACTIVITIES}/planning.py",
        "    return request.lease and held and request.call.ref.run.mode is Mode.LIVE",
        "    return False",
    ),
    Bug(
        "a containment is lifted while another lease lives",
        f"{ACTIVITIES}/undoing.py",
        "        if others := await containments.live_count(session, held.key):",
        "        if (others := await containments.live_count(session, held.key)) > 1:",
    ),
    Bug(
        "what we once contained counts as ours for ever, whoever does it later",
        f"{ACTIVITIES}/planning.py",
        "        row.ours, row.effect_id, row.since, row.lifted_at, row.verified_at = False, None, now, None, None",
        "        row.ours, row.since, row.lifted_at, row.verified_at = bool(row.effect_id), now, None, None",
    ),
    Bug(
        "the intent is not in the trail",
        f"{ACTIVITIES}/applying.py",
        "        await trail.record_all(session, [step_event(ref, EventKind.STEP_INTENDED, told, now, change.digest)])",
        "        del told",
    ),
    Bug(
        "who approves some of the changes has approved all of them",
        "orchestrator/approvals/decision_reply.py",
        '    return agreed_changes(asked, ((answer.form or {}).get("changes") for answer in _agreeing(row, answers)))',
        "    return tuple(asked)",
    ),
    Bug(
        "a lease ends some minutes too early",
        f"{ACTIVITIES}/holding.py",
        "        until = now + length",
        "        until = now + length - timedelta(minutes=15)",
    ),
    Bug(
        "a lost reply counts as a refusal, and what may have been made is nobody's",
        f"{ACTIVITIES}/applying.py",
        "        except Rejected as error:",
        "        except (Rejected, Unknown) as error:",
    ),
    Bug(
        "an extension is said to hold, and the lease ends when it would have ended",
        "orchestrator/containments/release.py",
        "            await containments.set_until(session, each.id, end)",
        "            await containments.set_until(session, each.id, min(end, each.until or end))",
    ),
    Bug(
        "the kill switch is not read when a change is judged",
        "orchestrator/policy/evaluate.py",
        "    for switch in facts.switches:",
        "    for switch in facts.switches[:0]:",
    ),
    Bug(
        "what is lifted is not said to be lifted, and is lifted again",
        f"{ACTIVITIES}/undoing.py",
        '                await came_off(session, held, request.actor, "it was taken back", now)',
        '                held.state = "held"',
    ),
)


def main() -> int:
    """Exit 1 when a bug is missed, or can no longer be planted."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.plant", description=__doc__)
    parser.add_argument(
        "--sequences", type=int, default=400, help="how many are played to find one"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one of them, by its number")
    given = parser.parse_args()
    found = [
        _tried(number, bug, given)
        for number, bug in enumerate(BUGS, 1)
        if given.only in {None, number}
    ]
    return 0 if all(found) else 1


def _tried(number: int, bug: Bug, given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="tocsin-planted-") as folder:
        copy = Path(folder)
        for part in PARTS:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        planted = copy / bug.file
        text = planted.read_text()
        if text.count(bug.old) != 1:
            print(
                f"{number:2} CANNOT BE PLANTED  {bug.sentence}: {bug.file} has it {text.count(bug.old)} times",
                flush=True,
            )
            return False
        planted.write_text(text.replace(bug.old, bug.new))
        arguments = [
            "--one",
            "--root",
            str(copy),
            "--sequences",
            str(given.sequences),
            "--seed",
            str(given.seed),
        ]
        told = Child(
            arguments, folder=copy, environment={**os.environ, "PYTHONPATH": str(copy)}
        ).told()
    what = (
        f"found after {told['sequences']:3}" if told["error"] else f"MISSED in {told['sequences']}"
    )
    print(f"{number:2} {what}  {bug.sentence}\n     {(told['error'] or '')[:200]}", flush=True)
    return bool(told["error"])


if __name__ == "__main__":
    sys.exit(main())
