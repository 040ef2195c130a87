"""Batches of alerts in one body: telemetry is left out, and single bad items are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, overload

from pydantic import Field

from orchestrator.domain.alert import Alert
from orchestrator.domain.model import Frozen
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.normalize.json_cursor import JsonCursor
from orchestrator.intake.normalize.keys import dedup_key

MAX_ALERTS = 5000
"""The maximum number of alerts in one body."""


class RejectedItem(Frozen):
    """An item of a batch that does not become an alert."""

    index: Annotated[int, Field(ge=0, description="Its place in the batch, from 0.", examples=[1])]
    reason: Annotated[
        str,
        Field(
            description="What is wrong, and where.",
            examples=["alertmanager: $.alerts[1].labels.alertname is missing"],
        ),
    ]


@dataclass(frozen=True, slots=True)
class AlertBatch(Sequence[Alert]):
    """The alerts of one body, as a sequence, and its items that could not be read."""

    alerts: tuple[Alert, ...]
    rejected: tuple[RejectedItem, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Alert: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Alert, ...]: ...

    def __getitem__(self, index: int | slice) -> Alert | tuple[Alert, ...]:
        return self.alerts[index]

    def __len__(self) -> int:
        return len(self.alerts)

    def __iter__(self) -> Iterator[Alert]:
        return iter(self.alerts)


def parse_batch(items: JsonCursor, parse_one: Callable[[JsonCursor], Alert]) -> AlertBatch:
    """Return the alerts in a list, or in a single object, each dedup key once.

    A bad item does not cost the good ones. Raise only where no item is an alert: Unparseable if any
    item was, otherwise NotAnAlert.
    """
    found: dict[str, Alert] = {}
    rejected: list[RejectedItem] = []
    first_bad: Unparseable | None = None
    telemetry: NotAnAlert | None = None
    for index, item in enumerate(_listed(items)):
        try:
            alert = parse_one(item)
        except Unparseable as refusal:
            first_bad = first_bad or refusal
            rejected.append(RejectedItem(index=index, reason=str(refusal)))
        except NotAnAlert as refusal:
            telemetry = telemetry or refusal
        else:
            alert = _with_own_key(alert)
            found.setdefault(alert.dedup_key, alert)
    if found:
        return AlertBatch(tuple(found.values()), tuple(rejected))
    raise (first_bad or telemetry or NotAnAlert(f"{items.product}: {items.path} is an empty list"))


def _with_own_key(alert: Alert) -> Alert:
    """Give the report of an end its own key, so that it is no duplicate of the start."""
    if not alert.resolved or alert.fingerprint is not None:
        return alert
    own = {
        "fingerprint": alert.dedup_key,
        "dedup_key": dedup_key(alert.dedup_key, "resolved"),
    }
    return alert.model_copy(update=own)


def _listed(items: JsonCursor) -> list[JsonCursor]:
    """Return a cursor for each item, each with omissions of its own. Raise Unparseable."""
    if not isinstance(items.value, list):
        return [items.fork()]
    if len(items.value) > MAX_ALERTS:
        raise Unparseable(
            f"{items.product}: {items.path} holds {len(items.value)} items; "
            f"the limit is {MAX_ALERTS}"
        )
    return [item.fork() for item in items.items(most=MAX_ALERTS)]
