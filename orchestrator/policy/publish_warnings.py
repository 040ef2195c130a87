"""Warnings on publication: protections that go away, and groups without people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from orchestrator.domain.access import Permission, PersonKind
from orchestrator.policy.document import Policy
from orchestrator.policy.rules import Rule
from orchestrator.policy.sections import Protected
from orchestrator.store.queries.access.people import PersonRecord
from orchestrator.store.tables import KeyRow

_MAX_NAMED = 10


def lost_protections(before: Policy, after: Policy) -> Iterator[str]:
    """Yield a warning for each kind of target, and each rule, that protected and no longer does."""
    for kind in Protected.model_fields:
        kept = set(getattr(after.protect, kind))
        lost = [str(each) for each in getattr(before.protect, kind) if each not in kept]
        if lost:
            yield f"protect.{kind}: {_listed(lost)} no longer protected"
    kept_rules = {_meaning(rule) for rule in after.rules}
    for number, rule in enumerate(before.rules):
        stops = rule.deny is not None or rule.approve is not None
        if stops and _meaning(rule) not in kept_rules:
            verb = "denies" if rule.deny is not None else "asks for approval"
            yield f"rules: {before.name_of(number)}, which {verb}, is changed or removed"
    if before.approvals.separate and not after.approvals.separate:
        yield "approvals.separate: people may approve the changes of runs that they started"
    if after.approvals.new_approvers_wait < before.approvals.new_approvers_wait:
        yield "approvals.new_approvers_wait: new people, keys and groups may approve sooner"
    if before.approvals.two_admins and not after.approvals.two_admins:
        yield "approvals.two_admins: one admin alone makes keys that may decide"
    for group, others in after.approvals.hand_over.items():
        if added := sorted({*others} - {*before.approvals.hand_over.get(group, ())}):
            yield f"approvals.hand_over: {group} may hand approvals to {', '.join(added)}"


def empty_groups(
    policy: Policy, known: Mapping[str, PersonRecord], keys: Iterable[KeyRow], now: datetime
) -> Iterator[str]:
    """Yield a warning for each group that the policy asks and without anyone who can decide."""
    able = {
        group
        for key in keys
        if _can_decide(key, now) and (owner := known.get(key.person))
        if owner.row.disabled_at is None and owner.row.kind is PersonKind.PERSON
        for group in owner.memberships
    }
    for group, places in sorted(_groups(policy).items()):
        if group not in able:
            yield (
                f"{places[0]}: no one in group {group!r} has a live key that may decide, so its "
                f"approvals expire; add a person: tocsin person change PERSON --add-group {group}"
            )


def _groups(policy: Policy) -> dict[str, list[str]]:
    """Return the groups that are asked, each with the places that name it."""
    named = [
        (rule.approve.by, policy.name_of(number))
        for number, rule in enumerate(policy.rules)
        if rule.approve is not None
    ]
    named += [(policy.limits.by, "limits.by"), (policy.breaker.by, "breaker.by")]
    found: dict[str, list[str]] = {}
    for group, place in named:
        if group is not None:
            found.setdefault(group, []).append(place)
    return found


def _can_decide(key: KeyRow, now: datetime) -> bool:
    return key.is_live(now) and Permission.APPROVAL_DECIDE in key.permissions


def _meaning(rule: Rule) -> str:
    """Return a rule without its place in the file."""
    return rule.model_copy(update={"line": None}).model_dump_json()


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    verb = "is" if len(names) == 1 else "are"
    return f"{shown} and {more} more {verb}" if more > 0 else f"{shown} {verb}"
