"""What does a verdict look at? The policy in force, the state of the moment, and on whose behalf a change is to be made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.run import Mode
from orchestrator.playbook.plan import Limits

if TYPE_CHECKING:
    from orchestrator.policy.document import Policy


class Switch(Frozen):
    """An engaged kill switch: scope `global`, `connection` (by its name or its connector's), `playbook` or `source`."""

    scope: str
    name: str
    reason: str
    stop_releases: bool = False


class Context(Frozen):
    """On whose behalf the change is to be made."""

    playbook: str
    mode: Mode = Mode.LIVE
    limits: Limits = Limits()
    source: str | None = None
    severity: int = 0
    at: datetime | None = None


class Own(Frozen):
    """What Tocsin itself stands on: protected though nobody listed it."""

    type: ObservableType
    value: str
    why: str


class Used(Frozen):
    """What is used up of one limit. `others` None: this target is counted already; `adds`: how much it counts for."""

    kind: Literal["hosts", "users", "addresses", "networks", "domains", "hashes"]
    per: Literal["run", "playbook", "source", "connector", "overall"]
    name: str
    within: int | None  # seconds
    limit: int
    others: int | None
    adds: int = 1


class Facts(Frozen):
    """The state of the moment.

    `names`: what else the target is known as. `sure_tags`: those of `tags` that it has by names that no alert
    can have made up; None: all of them. `critical`: it is a critical asset, or a domain controller. `known`: the inventory
    knows it, or it can't be an asset of ours. `used`: one entry for each limit that applies. `breaker`: why the source is asked about.
    """

    names: tuple[str, ...] = ()
    critical: bool = False
    switches: tuple[Switch, ...] = ()
    tags: tuple[str, ...] = ()
    sure_tags: tuple[str, ...] | None = None
    known: bool = True
    own: tuple[Own, ...] = ()
    used: tuple[Used, ...] = ()
    breaker: str | None = None


@dataclass(frozen=True, slots=True)
class InForce:
    """A published policy."""

    version: int
    digest: str
    policy: Policy
