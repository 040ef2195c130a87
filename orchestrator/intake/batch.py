"""What becomes of a body that holds several things: the alerts are kept, telemetry is left out."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.domain.alert import Alert
from orchestrator.intake.normalize.json_cursor import Reading
from orchestrator.intake.refusal import NotAnAlert, Unparseable

MAX_ALERTS = 5000
"""Alerts that one body may hold."""


def each(items: Reading, parse_one: Callable[[Reading], Alert]) -> tuple[Alert, ...]:
    """The alerts in a list, or of a lone object, each dedup key once.

    One bad neighbour does not cost the good ones: only where nothing is an alert is it refused, as Unparseable if anything in it was,
    otherwise as NotAnAlert.
    """
    listed = items.value if isinstance(items.value, list) else [items.value]
    if len(listed) > MAX_ALERTS:
        raise Unparseable(
            f"{items.product}: {items.path} holds {len(listed)} items; {MAX_ALERTS} is the most"
        )
    found: dict[str, Alert] = {}
    refusals: list[NotAnAlert | Unparseable] = []
    for reading in items.items(most=MAX_ALERTS) if isinstance(items.value, list) else [items]:
        try:
            alert = parse_one(reading)
        except (NotAnAlert, Unparseable) as refusal:
            refusals.append(refusal)
        else:
            found.setdefault(alert.dedup_key, alert)
    if found:
        return tuple(found.values())
    refusals.sort(
        key=lambda refusal: isinstance(refusal, NotAnAlert)
    )  # stable: the first Unparseable leads
    raise refusals[0] if refusals else NotAnAlert(f"{items.product}: {items.path} is an empty list")
