"""People and services, their roles and permissions, and the principal of a request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.model import Frozen

FOUNDER = "system"
"""The actor of the first start, which makes the first person."""
_ID = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")


class PersonKind(StrEnum):
    """Who holds a key."""

    PERSON = "person"
    SERVICE = "service"  # a SIEM, a CI: it never approves


class Membership(Frozen):
    """A person's place in a group."""

    joined_at: datetime
    by: str
    """The actor who gave it, or `issuer:URL` for a claim of an identity provider."""


def person_id(name: str) -> str:
    """Return the id that a name stands for: lower case and ASCII, so that no two look alike.

    Raise ValueError for a name that cannot be an id.
    """
    id_ = name.strip().lower()
    if not _ID.fullmatch(id_):
        raise ValueError(
            "use 1 to 100 letters a-z, digits and . _ @ + -, such as a.smith; the first is a letter"
            " or a digit"
        )
    return id_


class Permission(StrEnum):
    """What a route can require."""

    READ = "read"
    APPROVAL_READ = "approval:read"
    APPROVAL_DECIDE = "approval:decide"
    BREAK_GLASS = "approval:break_glass"
    RUN_START = "run:start"
    RUN_CONTROL = "run:control"
    PLAYBOOK_PUBLISH = "playbook:publish"
    CONTAINMENT_CONTROL = "containment:control"
    KILL_SWITCH_ENGAGE = "kill_switch:engage"
    KILL_SWITCH_LIFT = "kill_switch:lift"
    AUDIT_READ = "audit:read"
    POLICY_WRITE = "policy:write"
    ADMIN = "admin"

    @property
    def meaning(self) -> str:
        """What a person with the permission may do, as the documentation says it."""
        return _MEANINGS[self]


class Role(StrEnum):
    """The six roles. Each names a set of permissions."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    APPROVER = "approver"
    AUTHOR = "author"
    AUDITOR = "auditor"
    ADMIN = "admin"

    @property
    def meaning(self) -> str:
        """Whom the role is for, as the documentation says it."""
        return _ROLE_MEANINGS[self]


_MEANINGS = {
    Permission.READ: "read alerts, incidents, runs, containments, tasks, playbooks and the policy",
    Permission.APPROVAL_READ: "read approvals and what was sent about them",
    Permission.APPROVAL_DECIDE: "approve, decline, withdraw, hand over, and review break-glass use",
    Permission.BREAK_GLASS: "approve alone, with a reason and a later review",
    Permission.RUN_START: "start runs, and contain a target by hand",
    Permission.RUN_CONTROL: "cancel and retry runs",
    Permission.PLAYBOOK_PUBLISH: "test, publish, sign, promote and retire playbooks",
    Permission.CONTAINMENT_CONTROL: "release, extend, shorten and resolve; close tasks",
    Permission.KILL_SWITCH_ENGAGE: "engage a kill switch",
    Permission.KILL_SWITCH_LIFT: "lift a kill switch, reset a circuit breaker",
    Permission.AUDIT_READ: "read and export the audit trail",
    Permission.POLICY_WRITE: "publish the policy",
    Permission.ADMIN: "manage sources, connections, people, keys, contacts and assets",
}
_ROLE_MEANINGS = {
    Role.VIEWER: "reads, and changes nothing",
    Role.ANALYST: "is on duty: decides, contains, releases, and stops everything",
    Role.APPROVER: "is asked for approval, and can stop everything",
    Role.AUTHOR: "writes and publishes playbooks",
    Role.AUDITOR: "checks afterwards what was done",
    Role.ADMIN: "sets up the installation, and may do everything",
}

_VIEW = frozenset({Permission.READ, Permission.APPROVAL_READ})
_DECIDE = _VIEW | {Permission.APPROVAL_DECIDE, Permission.KILL_SWITCH_ENGAGE}
_ON_DUTY = _DECIDE | {
    Permission.RUN_START,
    Permission.RUN_CONTROL,
    Permission.CONTAINMENT_CONTROL,
    Permission.AUDIT_READ,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEW,
    Role.ANALYST: _ON_DUTY,
    Role.APPROVER: _DECIDE,
    Role.AUTHOR: _VIEW | {Permission.PLAYBOOK_PUBLISH},
    Role.AUDITOR: _VIEW | {Permission.AUDIT_READ},
    Role.ADMIN: frozenset(Permission),
}


def granted(
    roles: Iterable[Role | str], scopes: Iterable[Permission | str] | None
) -> frozenset[Permission]:
    """Return the permissions of roles, narrowed by scopes."""
    allowed = frozenset[Permission]().union(*(PERMISSIONS[Role(role)] for role in roles))
    return allowed if scopes is None else allowed & {Permission(scope) for scope in scopes}


NOT_FOR_SERVICES = frozenset({Permission.APPROVAL_DECIDE, Permission.BREAK_GLASS})
"""What only people do, whatever the roles of a service's key."""


class Principal(Frozen):
    """The authenticated person or service behind an API key."""

    key_id: str
    person: str
    """The person's id; two keys of one person count as one person."""
    kind: PersonKind = PersonKind.PERSON
    roles: tuple[Role, ...]
    groups: tuple[str, ...] = ()
    """The person's, whichever key is used."""
    scopes: tuple[Permission, ...] | None = None
    """Narrows the permissions of the roles; None for all of them."""
    since: datetime | None = None
    """When the person became able to decide this way; None: with the installation."""
    member_since: Mapping[str, datetime] = {}
    """When the person joined groups; those not named: with the installation."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """The permissions of the roles, narrowed by the key's scopes and by the kind."""
        allowed = granted(self.roles, self.scopes)
        return allowed - NOT_FOR_SERVICES if self.kind is PersonKind.SERVICE else allowed

    def approver_since(self, group: str | None) -> datetime | None:
        """Return since when the principal can answer for a group; None: ever."""
        times = [self.since, self.member_since.get(group) if group is not None else None]
        return max((each for each in times if each is not None), default=None)

    def has_permission(self, permission: Permission) -> bool:
        """Return whether the principal has the permission."""
        return permission in self.permissions
