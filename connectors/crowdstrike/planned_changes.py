"""What a Falcon plan finds, and keeps so that the change can be taken back exactly."""

from __future__ import annotations

from typing import Literal

from orchestrator.domain.change import PlannedChange
from orchestrator.domain.model import Frozen


class Containment(PlannedChange):
    """A device, and how its network is to be."""

    device_id: str
    host_name: str
    wanted: Literal["contained", "normal"]


class Indicator(Frozen):
    """An IOC that was there before, with what is needed to put it back."""

    id: str
    action: str
    platforms: tuple[str, ...]
    applied_globally: bool
    host_groups: tuple[str, ...] = ()
    severity: str | None = None
    tags: tuple[str, ...] = ()


class HashBan(PlannedChange):
    """A hash, whether it is to be banned, and the indicator that stood for it before. `tag` marks the indicator we make."""

    hash_type: Literal["sha256", "md5"]
    hash: str
    banned: bool
    before: Indicator | None = None
    tag: str
    note: str = ""
