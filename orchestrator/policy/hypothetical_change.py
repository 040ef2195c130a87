"""Hypothetical changes, for what-if evaluation and the test cases of a policy."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.policy.inputs import ChangeContext
from orchestrator.policy.rules import Degree, Tags, Word, as_list


def _expand_target(written: Any) -> Any:
    """Expand `address:203.0.113.5` to `{type: address, value: 203.0.113.5}`."""
    if not isinstance(written, str):
        return written
    kind, colon, value = written.partition(":")
    if not colon or kind not in set(ObservableType) or not value:
        raise ValueError(
            f"{written[:80]!r} is not a target; write TYPE:VALUE, such as address:203.0.113.5"
        )
    return {"type": ObservableType(kind), "value": value}


def _parse_time(written: Any) -> Any:
    if not isinstance(written, str):
        return written
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(
            f"{written[:40]!r} is not a time; write such as 2026-03-07T23:30:00+01:00"
        ) from None


class HypotheticalChange(Frozen):
    """A change as the policy sees it, and what led to it."""

    action: Annotated[str, Field(min_length=1, max_length=200, description="`connection.action`.")]
    connection: Annotated[Word | None, Field(description="Where `action` does not name it.")] = None
    connector: Annotated[Word | None, Field(description="The vendor behind the connection.")] = None
    effect: Effect | None = Field(default=None, description="Default: the effect of the action.")
    target: Annotated[Target, BeforeValidator(_expand_target)]
    input: Annotated[dict[str, Any], Field(description="What the action is given.")] = {}
    playbook: Annotated[str, Field(max_length=250)] = ""
    source: Word | None = None
    severity: Degree = 0
    at: Annotated[AwareDatetime | None, BeforeValidator(_parse_time)] = None
    approved_by: Annotated[
        tuple[Word, ...],
        BeforeValidator(as_list),
        Field(description="Groups that approved what a release or restore lifts."),
    ] = ()
    tags: Annotated[Tags, Field(description="In addition to those of the inventory.")] = ()

    def change(self, catalogue: Catalogue, *, connector: str | None = None) -> Change:
        """Return the change to evaluate. Raise Invalid for an action whose effect is unknown."""
        connection, _, action = self.action.rpartition(".")
        connection = connection or self.connection or ""
        known = catalogue.get(f"{connection}.{action}")
        effect = self.effect or (known.effect if known else None)
        if effect is None:
            fix = catalogue.suggest(f"{connection}.{action}")
            hint = f"{fix}, or " if fix else ""
            raise Invalid(f"action: {self.action!r} is unknown; {hint}give its `effect`")
        planned_change = {
            "target": self.target.model_dump(mode="json"),
            "changed": True,
            "summary": "",
        }
        vendor = self.connector or connector or connection
        return Change(
            connection=connection,
            connector=vendor,
            action=action,
            effect=effect,
            input=self.input,
            planned_change=planned_change,
        )

    def context(self, now: datetime) -> ChangeContext:
        """Return the context of the change; `now` applies where `at` is not given."""
        return ChangeContext(
            playbook=self.playbook, source=self.source, severity=self.severity, at=self.at or now
        )
