"""Inputs of a policy evaluation: the policy in force, the facts, and the context of the change."""

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

LOOKUPS = ("find_host", "find_user")
"""Actions whose results hold other names of a host or user."""


class EngagedSwitch(Frozen):
    """An engaged kill switch."""

    scope: str  # global, connection, playbook, source
    name: str  # of a connection: its name or its connector's
    reason: str
    stop_releases: bool = False


class ChangeContext(Frozen):
    """The run or the person that wants the change, and why."""

    playbook: str
    mode: Mode = Mode.LIVE
    limits: Limits = Limits()
    source: str | None = None
    severity: int = 0
    at: datetime | None = None


class OwnInfrastructure(Frozen):
    """A thing that Tocsin itself depends on, protected without being listed."""

    type: ObservableType
    value: str
    why: str


class LimitUsage(Frozen):
    """The usage of one limit."""

    kind: Literal["hosts", "users", "addresses", "networks", "domains", "hashes"]
    per: Literal["run", "playbook", "source", "connector", "overall"]
    name: str
    within: int | None  # seconds; None: the run
    limit: int
    others: int | None  # targets counted so far; None: this target is among them
    adds: int = 1  # how much this target counts


class ChangeFacts(Frozen):
    """The facts about a change at the time of its evaluation."""

    names: tuple[str, ...] = ()  # other names of the target
    critical: bool = False  # a critical asset, or a domain controller
    switches: tuple[EngagedSwitch, ...] = ()
    tags: tuple[str, ...] = ()
    sure_tags: tuple[str, ...] | None = None  # tags by names that no alert can forge; None: all
    known: bool = True  # in the inventory, or a target that cannot be an asset
    internal: bool = False  # belongs to the organization, or contains what does
    held_by_others: bool = False  # a restore, and leases of other runs hold its target
    approved_by: tuple[str, ...] = ()  # groups that approved what a release or restore lifts
    own: tuple[OwnInfrastructure, ...] = ()
    used: tuple[LimitUsage, ...] = ()  # one entry per limit that applies
    breaker: str | None = None  # why the circuit breaker of the source tripped


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy with its version and digest; version 0 is not published."""

    version: int
    digest: str
    policy: Policy
