"""No query of the store costs more as runs, alerts and events accumulate, by SQLite's own plan."""

from __future__ import annotations

from pathlib import Path

from tests.harness.databases import opened
from tests.harness.every_query import record_every_query
from tests.harness.query_plans import Fault, growing_costs

_COUNT = "a person counts what a bulk change would touch, once"
_PERIOD = "it reads a period that its caller bounds"
_SOURCE = "a source keeps a bounded number of deliveries"
_CONTAINED = "it reads containments and leases, of which there is one for each target"

_STOPS = "few events publish a policy, or engage or lift a kill switch"

READ_ALL = {
    "authentic.list_refused": "`tocsin doctor` checks the seal of every row",
    "queries.alerts.runs_since": _PERIOD,
    "queries.approvals.batches.newest_like": _PERIOD,
    "queries.audit.rows.key_changes": "few events change a key",
    "queries.audit.rows.quarantined": "the table is empty unless rows are written past Tocsin",
    "queries.counts.all_counts containments": _CONTAINED,
    "queries.counts.all_counts leases": _CONTAINED,
    "queries.effects.count_contained_per_window": _PERIOD,
    "queries.effects.count_targets": _PERIOD,
    "queries.effects.targets_contained_for": _PERIOD,
    "queries.effects.touched_networks": _PERIOD,
    "queries.history.alerts_between": _PERIOD,
    "queries.runs.count": _COUNT,
    "queries.runs.list_page audit_events": "it reads what one person did",
    "queries.shadows.live_runs": _PERIOD,
    "queries.shadows.shadow_runs": _PERIOD,
    "queries.sources.rejected.count_before": _SOURCE,
    "queries.sources.rejected.count_kept": _SOURCE,
    "queries.sources.rejected.kept_ids": _SOURCE,
    "queries.sources.rejected.list_page": _SOURCE,
    "queries.sources.rejected.sizes": _SOURCE,
    "queries.usage.count_live_leases": _CONTAINED,
    "standing.check_all": _STOPS,
    "standing.is_engaged": _STOPS,
    "standing.kill_switches": _STOPS,
    "standing.load_stops": _STOPS,
    "standing.newest_policy": _STOPS,
}
"""Functions, and tables where they are named, that may read all that fits; and why."""

APART = {
    "intake_rows.py": "it gets a source by its key, where another hand wrote the row",
    "queries/audit/rows.py": "it inserts many events at once on PostgreSQL",
    "standing.py": "it reads again what contradicts the trail",
}
"""Files with a place that SQLite or a whole row does not reach; and what it does."""

# A page with such a filter is read in the order of the list until it is full. That is short as long
# as rows that fit keep coming. For text in an error, which has no index, it is not: give a period.
PAGED = {
    "queries.approvals.lists.list_page": {
        "break_glass_by",
        "by_group",
        "handed_to",
        "reviewed_by",
        "run_id",  # playbook and source of its run
    },
    "queries.audit.pages.page": {"actor", "kind"},
    "queries.incidents.list_alerts": {"severity"},
    "queries.incidents.list_incidents": {"severity"},
    "queries.runs.list_page": {"alert_id", "ended_at", "error", "mode", "severity"},
    "queries.tasks.list_page": {"closed_by"},
}


def is_allowed(fault: Fault) -> bool:
    if fault.function.startswith("queries.containments."):
        return True  # _CONTAINED
    if {fault.function, f"{fault.function} {fault.table}"} & READ_ALL.keys():
        return True
    return bool(fault.filters) and fault.filters <= PAGED.get(fault.function, set())


async def test_no_query_costs_more_as_tables_grow(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        recorder = await record_every_query(rt.store)
    # Every place in the store that sends a statement was called.
    assert [place for place in recorder.unreached() if place.partition(":")[0] not in APART] == []
    found = growing_costs(tmp_path / "data" / "tocsin.db", recorder.statements.values())
    faults = [str(fault) for fault in found if not is_allowed(fault)]
    assert not faults, "\n".join(sorted(set(faults)))
