"""Hypothetical changes, for a policy that is asked "what if"."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.policy.inputs import Context
from orchestrator.policy.rules import Degree, Tags, Word


def _target(written: Any) -> Any:
    """`address:203.0.113.5` is short for `{type: address, value: 203.0.113.5}`."""
    if not isinstance(written, str):
        return written
    kind, colon, value = written.partition(":")
    if not colon or kind not in set(ObservableType) or not value:
        raise ValueError(
            f"{written[:80]!r} is not a target; write TYPE:VALUE, such as address:203.0.113.5"
        )
    return {"type": ObservableType(kind), "value": value}


def _moment(written: Any) -> Any:
    if not isinstance(written, str):
        return written
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(
            f"{written[:40]!r} is not a time; write such as 2026-03-07T23:30:00+01:00"
        ) from None


class Imagined(Frozen):
    """A change, as far as a policy can see it, and what led to it. `effect`: left out, the one that the action has."""

    action: Annotated[str, Field(min_length=1, max_length=200, description="`connection.action`.")]
    connection: Annotated[Word | None, Field(description="Where `action` does not name it.")] = None
    connector: Annotated[Word | None, Field(description="The vendor behind the connection.")] = None
    effect: Effect | None = None
    target: Annotated[Target, BeforeValidator(_target)]
    input: Annotated[dict[str, Any], Field(description="What the action is given.")] = {}
    playbook: Annotated[str, Field(max_length=250)] = ""
    source: Word | None = None
    severity: Degree = 0
    at: Annotated[AwareDatetime | None, BeforeValidator(_moment)] = None
    tags: Annotated[Tags, Field(description="Beside those that the inventory gives.")] = ()

    def change(self, catalogue: Catalogue, *, connector: str | None = None) -> Change:
        """The change that would be judged. `connector`: behind the connection. Raises Invalid for an action whose effect nobody knows."""
        connection, _, action = self.action.rpartition(".")
        connection = connection or self.connection or ""
        known = catalogue.get(f"{connection}.{action}")
        effect = self.effect or (known.effect if known else None)
        if effect is None:
            mend = catalogue.mend(f"{connection}.{action}")
            raise Invalid(
                f"nobody knows what {self.action!r} does to the world; {f'{mend}, or ' if mend else ''}give `effect`"
            )
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

    def context(self, now: datetime) -> Context:
        """On whose behalf; `now` where no other time is asked about."""
        return Context(
            playbook=self.playbook, source=self.source, severity=self.severity, at=self.at or now
        )
