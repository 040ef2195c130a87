"""Containments as the rows of a table: target, device, playbook, alert and times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

COLUMNS = ("id", "state", "what", "on", "by", "why", "since", "until", "verified")
OPTIONAL = ("verified", "since", "on", "by")


def containment_rows(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each containment, by the names of the columns."""
    return [_row(item) for item in items]


def _row(item: dict[str, Any]) -> dict[str, Any]:
    live = [lease for lease in item["leases"] if lease["state"] == "live"]
    shown = live or item["leases"][-1:]
    reasons = [reason for lease in shown if (reason := lease["alert"] or lease["reason"])]
    device = item["device"]
    return {
        "id": item["id"],
        "state": _state(item),
        "what": f"{item['target']['value']} {item['action']}",
        "on": item["connection"] if device is None else f"{item['connection']} ({device})",
        "by": sorted({lease["playbook"] or lease["run_id"] for lease in shown}),
        "why": next(iter([*reasons, *(lease["path"] for lease in shown)]), None),
        "since": item["created_at"],
        "until": _until(item, has_leases=bool(live)),
        "verified": item["verified_at"],
    }


def _until(item: dict[str, Any], *, has_leases: bool) -> str:
    end: str | None = item["lifted_at"] or item["expires_at"]
    return end or ("by hand" if has_leases else "now")


def _state(item: dict[str, Any]) -> str:
    """Return the state; `held, foreign` was in force before Tocsin, and stays."""
    more = [item["drift"]] if item["drift"] else []
    more += [] if item["ours"] or item["state"] == "lifted" else ["foreign"]
    more += [f"{item['failures']}x"] if item["failures"] else []
    return ", ".join([item["state"], *more])
