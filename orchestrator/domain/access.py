"""Roles, permissions, and the principal of a request."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.model import Frozen


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
    Permission.APPROVAL_DECIDE: "approve, decline, withdraw, and review break-glass approvals",
    Permission.BREAK_GLASS: "approve alone, with a reason and a later review",
    Permission.RUN_START: "start runs, and contain a target by hand",
    Permission.RUN_CONTROL: "cancel and retry runs",
    Permission.PLAYBOOK_PUBLISH: "test, publish, sign, promote and retire playbooks",
    Permission.CONTAINMENT_CONTROL: "release, extend, shorten and resolve; close tasks",
    Permission.KILL_SWITCH_ENGAGE: "engage a kill switch",
    Permission.KILL_SWITCH_LIFT: "lift a kill switch, reset a circuit breaker",
    Permission.AUDIT_READ: "read and export the audit trail",
    Permission.POLICY_WRITE: "publish the policy",
    Permission.ADMIN: "manage sources, connections, contacts, assets and keys",
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


class Principal(Frozen):
    """The authenticated person behind an API key."""

    key_id: str
    person: str
    """The person's name; two keys of one person count as one person."""
    roles: tuple[Role, ...]
    groups: tuple[str, ...] = ()
    scopes: tuple[Permission, ...] | None = None
    """Narrows the permissions of the roles; None for all of them."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """The permissions of the roles, narrowed by the key's scopes."""
        allowed = frozenset().union(*(PERMISSIONS[role] for role in self.roles))
        return allowed if self.scopes is None else allowed & frozenset(self.scopes)

    def has_permission(self, permission: Permission) -> bool:
        """Return whether the principal has the permission."""
        return permission in self.permissions
