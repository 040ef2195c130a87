"""Checks of what is configured: people for every group, connections for every playbook, keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from orchestrator.access.key_views import KeyView
from orchestrator.access.keys import list_keys
from orchestrator.access.people import PersonView, list_people
from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.connections.manage import list_connections
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.errors import NotFound
from orchestrator.incidents.refused_rows import FIX, NOT_OURS
from orchestrator.playbook.plan import Ask, Plan, Use, walk
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.policies import current_policy
from orchestrator.registry.publish import list_playbooks, published_plans
from orchestrator.runtime import Runtime
from orchestrator.store.authentic import list_refused
from orchestrator.store.standing import check_all

_SOON = timedelta(days=14)


async def examine_content(rt: Runtime) -> list[Diagnosis]:
    """Return what of the configuration cannot work."""
    if refused := await _refused_rows(rt):
        return refused
    now = rt.clock()
    people = {each.id: each for each in await list_people(rt) if each.disabled_at is None}
    keys = [
        key
        for key in await list_keys(rt)
        if key.person in people
        and key.enrolled_at is not None
        and key.revoked_at is None
        and (key.expires_at is None or key.expires_at > now)
    ]
    stored = await published_plans(rt)
    plans = [
        stored[view.name, view.version] for view in await list_playbooks(rt) if not view.retired
    ]
    try:
        policy = parse_policy((await current_policy(rt)).source)
    except NotFound as error:
        return [wrong("policy", str(error))]
    names = {view.name for view in await list_connections(rt)}
    found = [
        *_groups(policy, plans, keys, people),
        *_connections(plans, names),
        *_keys(keys, soon=[key for key in keys if key.expires_at and key.expires_at < now + _SOON]),
    ]
    return found or [good("content", f"{len(plans)} playbooks, {len(keys)} keys, and the policy")]


async def _refused_rows(rt: Runtime) -> list[Diagnosis]:
    """Return the rows that another hand wrote."""
    async with rt.store.read() as session:
        await check_all(session)
        names = await list_refused(session)
    return [wrong("rows", f"{name}: {NOT_OURS}; {FIX}") for name in names]


def _groups(
    policy: Policy, plans: list[Plan], keys: list[KeyView], people: Mapping[str, PersonView]
) -> Iterator[Diagnosis]:
    """Yield the groups whose approval is wanted, and that no valid key can give."""
    deciding = {
        group
        for key in keys
        if _can_decide(key, people[key.person])
        for group in people[key.person].groups
    }
    wanted = {**_of_playbooks(plans), **_of_policy(policy)}
    for group, place in sorted(wanted.items()):
        if group not in deciding:
            yield wrong(
                "groups",
                f"{place}: group {group} cannot answer, as no one in it has a valid key that may "
                f"decide; add a person: `tocsin person change PERSON --add-group {group}`",
            )


def _of_policy(policy: Policy) -> dict[str, str]:
    found = {
        rule.approve.by: f"policy, rule {rule.name or 'at line ' + str(rule.line)}"
        for rule in policy.rules
        if rule.approve is not None and rule.approve.by is not None
    }
    for place, group in (("limits", policy.limits.by), ("breaker", policy.breaker.by)):
        if group is not None:
            found[group] = f"policy, {place}"
    return found


def _of_playbooks(plans: list[Plan]) -> dict[str, str]:
    found = {}
    for plan in plans:
        for path, step in walk(plan):
            groups = [step.by] if isinstance(step, Ask) else []
            if step.approve is not None:
                groups += [step.approve.by, *step.approve.escalate_to]
            for group in groups:
                if group is not None:
                    found[group] = f"{plan.playbook} version {plan.version}, step {path!r}"
    return found


def _can_decide(key: KeyView, person: PersonView) -> bool:
    holder = Principal(
        key_id=key.id, person=key.person, kind=person.kind, roles=key.roles, scopes=key.scopes
    )
    return holder.has_permission(Permission.APPROVAL_DECIDE)


def _connections(plans: list[Plan], names: set[str]) -> Iterator[Diagnosis]:
    missing: dict[str, set[str]] = {}
    for plan in plans:
        for _, step in walk(plan):
            if isinstance(step, Use) and step.connection not in names:
                place = f"{plan.playbook} version {plan.version}"
                missing.setdefault(step.connection, set()).add(place)
    for connection, places in sorted(missing.items()):
        yield wrong(
            "connections",
            f"connection {connection} does not exist, and is used by {', '.join(sorted(places))}; "
            f"add it with `tocsin connection add {connection}`, or retire those versions",
        )


def _keys(keys: list[KeyView], soon: list[KeyView]) -> Iterator[Diagnosis]:
    if not any(Role.ADMIN in key.roles and key.scopes is None for key in keys):
        yield wrong(
            "keys",
            "no valid admin key is left; remove admin.key from the data directory and run "
            "`tocsin migrate`, which creates one",
        )
    for key in soon:
        yield note(
            "keys",
            f"key {key.id} of {key.person} expires at {key.expires_at:%Y-%m-%d %H:%M} UTC; create "
            f"another with `tocsin key create {key.person}`",
        )
