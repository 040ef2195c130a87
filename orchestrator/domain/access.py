"""Roles, permissions, and the principal of a request."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.model import Frozen


class Permission(StrEnum):
    """What a route can require."""

    READ = "read"  # alerts, incidents, runs, playbooks, containments, policy
    APPROVAL_READ = "approval:read"
    APPROVAL_DECIDE = "approval:decide"
    BREAK_GLASS = "approval:break_glass"  # decide alone, with a reason and a later review
    RUN_START = "run:start"
    RUN_CONTROL = "run:control"  # cancel, retry
    PLAYBOOK_PUBLISH = "playbook:publish"
    CONTAINMENT_CONTROL = "containment:control"
    AUDIT_READ = "audit:read"
    POLICY_WRITE = "policy:write"
    KILL_SWITCH = "kill_switch"
    ADMIN = "admin"  # keys, sources, connections


class Role(StrEnum):
    """The five roles. Each names a set of permissions."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    APPROVER = "approver"
    AUTHOR = "author"
    ADMIN = "admin"


_VIEW = frozenset({Permission.READ, Permission.APPROVAL_READ})
_ANALYZE = _VIEW | {Permission.RUN_START, Permission.RUN_CONTROL, Permission.CONTAINMENT_CONTROL}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEW,
    Role.ANALYST: _ANALYZE,
    Role.APPROVER: _VIEW | {Permission.APPROVAL_DECIDE},
    Role.AUTHOR: _VIEW | {Permission.PLAYBOOK_PUBLISH},
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
