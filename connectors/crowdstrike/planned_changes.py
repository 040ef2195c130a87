"""Planned changes of Falcon: a host's containment, and the ban of a hash."""

from __future__ import annotations

from typing import Literal

from orchestrator.domain.change import PlannedChange
from orchestrator.domain.model import Frozen


class HostContainment(PlannedChange):
    """The network containment of a device."""

    device_id: str
    host_name: str
    wanted: Literal["contained", "normal"]


class Indicator(Frozen):
    """An existing custom IOC, with the fields that undo restores."""

    id: str
    action: str
    platforms: tuple[str, ...]
    applied_globally: bool
    host_groups: tuple[str, ...] = ()
    severity: str | None = None
    tags: tuple[str, ...] = ()


class HashBan(PlannedChange):
    """The ban of a file hash, or its end."""

    hash_type: Literal["sha256", "md5"]
    hash: str
    banned: bool
    before: Indicator | None = None
    """The hash's indicator at the time of the plan."""
    tag: str
    """Marks the indicator that this change creates."""
    note: str = ""
    """The indicator's description and the comment of the change."""
