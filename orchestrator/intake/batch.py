"""Batches of alerts in one body: telemetry and single bad items are left out."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.domain.alert import Alert
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.normalize.json_cursor import JsonCursor

MAX_ALERTS = 5000
"""The maximum number of alerts in one body."""


def parse_batch(items: JsonCursor, parse_one: Callable[[JsonCursor], Alert]) -> tuple[Alert, ...]:
    """Return the alerts in a list, or in a single object, each dedup key once.

    A bad item does not cost the good ones. Raise only where no item is an alert: Unparseable if any
    item was, otherwise NotAnAlert.
    """
    listed = items.value if isinstance(items.value, list) else [items.value]
    if len(listed) > MAX_ALERTS:
        raise Unparseable(
            f"{items.product}: {items.path} holds {len(listed)} items; the limit is {MAX_ALERTS}"
        )
    found: dict[str, Alert] = {}
    refusals: list[NotAnAlert | Unparseable] = []
    for item in items.items(most=MAX_ALERTS) if isinstance(items.value, list) else [items]:
        try:
            alert = parse_one(item)
        except (NotAnAlert, Unparseable) as refusal:
            refusals.append(refusal)
        else:
            found.setdefault(alert.dedup_key, alert)
    if found:
        return tuple(found.values())
    # Stable: the first Unparseable leads.
    refusals.sort(key=lambda refusal: isinstance(refusal, NotAnAlert))
    raise refusals[0] if refusals else NotAnAlert(f"{items.product}: {items.path} is an empty list")
