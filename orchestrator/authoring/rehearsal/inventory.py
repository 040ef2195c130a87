"""The inventory of a rehearsal: the case's assets, and what alert and look-ups say of a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.assets.facts import asset_facts_from
from orchestrator.domain.change import Change
from orchestrator.domain.observable import ObservableType
from orchestrator.playbook.plan import Limits, Plan
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import COUNTED
from orchestrator.policy.inputs import ChangeFacts, LimitUsage
from orchestrator.store.queries.policy_inputs import KnownAsset

_LIMITED = {
    ObservableType.HOST: "hosts",
    ObservableType.USER: "users",
    ObservableType.ADDRESS: "addresses",
}
_CRITICAL_KINDS = {"domain_controller"}


@dataclass(frozen=True, slots=True)
class CaseInventory:
    """The assets of one case. Without any, every target counts as known, and none as internal."""

    assets: tuple[KnownAsset, ...] = ()

    def facts(
        self,
        change: Change,
        alert: Mapping[str, Any] | None,
        looked_up: Iterable[Mapping[str, Any]],
        touched: Sequence[Change],
        policy: Policy,
        plan: Plan,
    ) -> ChangeFacts:
        """Return the policy facts about a change; `touched` is what this run changed before."""
        parts = [part for part in ((alert or {}).get("host"), (alert or {}).get("user")) if part]
        names = _names(change.target.value, [*parts, *looked_up])
        own_parts = [part for part in parts if names & set(_texts(part))]
        asset = asset_facts_from(self.assets, change.target, names)
        critical = asset.critical or any(
            part.get("critical") or part.get("kind") in _CRITICAL_KINDS for part in own_parts
        )
        tags = dict.fromkeys(
            [*asset.tags, *(tag for part in own_parts for tag in part.get("tags") or ())]
        )
        others = {
            other.target.value
            for other in touched
            if other.effect in COUNTED
            and other.target.type is change.target.type
            and other.target != change.target
        }
        return ChangeFacts(
            names=tuple(sorted({*names, *asset.names})),
            critical=critical,
            tags=tuple(tags),
            known=asset.known or not self.assets,
            internal=asset.internal and bool(self.assets),
            used=_used(change, len(others), policy, plan.limits, plan.playbook),
        )


def _names(target: str, records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return all names of the target: a name may lead to a record, and that to another."""
    names = {target}
    known = [set(_texts(record)) for record in records]
    for _ in known:
        names.update(*(record for record in known if record & names))
    return names


def _texts(record: Mapping[str, Any]) -> list[str]:
    skipped = {"kind", "platform", "status"}
    return [
        value.lower()
        for name, value in record.items()
        if isinstance(value, str) and name not in skipped
    ]


def _used(
    change: Change, others: int, policy: Policy, own: Limits, playbook: str
) -> tuple[LimitUsage, ...]:
    """Return the usage of the run's own limits; no other run counts in a rehearsal."""
    kind = _LIMITED.get(change.target.type)
    if kind is None or change.effect not in COUNTED:
        return ()
    limits = {"": getattr(policy.limits.per_run, kind), playbook: getattr(own, f"{kind}_per_run")}
    about = {"kind": kind, "per": "run", "within": None, "others": others}
    return tuple(
        LimitUsage.model_validate({**about, "name": name, "limit": limit})
        for name, limit in limits.items()
        if limit is not None
    )
