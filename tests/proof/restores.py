"""Restores in the model: what a run that lifts containments ends, once its outcome is known."""

from __future__ import annotations

from tests.proof.ledger import Ledger
from tests.proof.model import ProofModel, ProofRun, ProofTarget


def judge_restores(model: ProofModel, ledger: Ledger) -> None:
    """Update the model from the restores that are under way, and from those that ended."""
    for target in model.targets.values():
        for hold in target.holds.values():
            hold.contested = False
    for run in model.runs.values():
        if run.way.restores and not run.judged:
            (name,) = run.paths.values()
            whole = model.targets[name]
            _judge(
                model, ledger, run, [each for each in model.targets.values() if whole.covers(each)]
            )


def _judge(model: ProofModel, ledger: Ledger, run: ProofRun, covered: list[ProofTarget]) -> None:
    holds = [hold for each in covered for hold in each.holds.values()]
    if run.open:
        for hold in holds:
            hold.contested = True
        return
    run.judged = True
    if run.status == "completed":
        for each in covered:
            each.by_hand = False
            model.touch(each.name)
        for hold in holds:
            # One that came while the restore was under way may have been first or last.
            hold.over |= any(hold is ended for ended in run.ends)
            hold.doubtful |= not hold.over
            hold.unsure |= hold.doubtful
    elif ledger.count("effects WHERE run_id = ?", run.id):
        for each in covered:
            each.uncertain = True
