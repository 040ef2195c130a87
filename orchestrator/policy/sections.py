"""Sections of a policy: protection, limits, circuit breaker, drift, releases and approvals."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Address, Domain, Host, Network, User
from orchestrator.playbook.language.durations import PATTERN, parse_duration
from orchestrator.policy.rules import Quorum, Word

Count = Annotated[int, Field(ge=0, le=1_000_000)]


def _span(value: Any) -> int:
    try:
        return parse_duration(value)
    except Invalid as error:
        raise ValueError(str(error)) from error


Span = Annotated[
    int, BeforeValidator(_span), WithJsonSchema({"type": ["string", "integer"], "pattern": PATTERN})
]
"""Whole seconds; written as `15m` or as a number of seconds."""


def _span_or_zero(value: Any) -> int:
    return 0 if value in {0, "0s", "0m", "0h", "0d"} and value is not False else _span(value)


SpanOrZero = Annotated[
    int,
    BeforeValidator(_span_or_zero),
    WithJsonSchema({"type": ["string", "integer"], "pattern": PATTERN}),
]
"""As `Span`, or `0s`: not at all."""


class Protected(Frozen):
    """Targets that no playbook may contain or destroy.

    A network protects everything that overlaps it, and a domain everything below it.
    """

    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    hosts: tuple[Host, ...] = ()
    users: tuple[User, ...] = ()
    domains: tuple[Domain, ...] = ()


class Widest(Frozen):
    """The shortest prefix of a network that may be blocked: 16 denies 10.0.0.0/8."""

    ipv4: Annotated[int, Field(ge=1, le=32)] = 16
    ipv6: Annotated[int, Field(ge=1, le=128)] = 32


class TargetCounts(Frozen):
    """The number of different targets per kind; None: no limit."""

    hosts: Count | None = None
    users: Count | None = None
    addresses: Count | None = None
    networks: Count | None = None
    domains: Count | None = None
    hashes: Count | None = None


class Per(StrEnum):
    """Whose changes a window counts together."""

    OVERALL = "overall"
    PLAYBOOK = "playbook"
    SOURCE = "source"
    CONNECTOR = "connector"


class Window(TargetCounts):
    """A limit within any span of time: overall, or per playbook, source or connector."""

    per: Per = Per.OVERALL
    within: Span


class PolicyLimits(Frozen):
    """How much may be touched before a change needs approval, and whose approval."""

    per_run: TargetCounts = TargetCounts()
    windows: Annotated[tuple[Window, ...], Field(max_length=32)] = (
        Window(per=Per.OVERALL, within=3_600, hosts=50, users=50, addresses=1_000, networks=20),
    )
    by: Word | None = None
    quorum: Quorum = 1


class Breaker(Frozen):
    """When the circuit breaker of a source trips, so that each of its changes needs approval.

    It trips at `at_least` targets within `within`, if that is more than `factor` times the mean
    over `compared_with`.
    """

    within: Span = 3_600
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    factor: Annotated[float, Field(ge=1, le=1_000_000)] = 5
    compared_with: Span = 7 * 86_400
    by: Word | None = None
    quorum: Quorum = 1


class Drift(Frozen):
    """How often containments are read back, and what happens when one is gone from its device."""

    every: Span = 900
    then: Literal["reapply", "report"] = "report"
    to: Word | None = None  # the group to notify; None: as for failed releases


class Releases(Frozen):
    """After how many failed attempts a release is escalated to people."""

    escalate_after: Annotated[int, Field(ge=1, le=1_000)] = 3
    to: Word | None = None  # a group; None: everyone who may release


class Approvals(Frozen):
    """How approvals work."""

    separate: bool = True  # who published the playbook or started the run may not approve
    remind_every: SpanOrZero = 300  # 0s: never
    break_glass: bool = True  # an admin may approve alone, and is reviewed
    new_approvers_wait: SpanOrZero = 86_400  # how long a new person, key, group or contact waits
    two_admins: bool = False  # a second admin confirms keys that may decide
    # To which groups the members of a group may hand an approval over; others to none.
    hand_over: Annotated[dict[Word, tuple[Word, ...]], Field(max_length=200)] = {}
