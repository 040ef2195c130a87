"""What does a policy settle beside its rules? What is protected, how much may be touched, when people are told and asked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Address, Domain, Host, Network, User
from orchestrator.playbook.language.durations import PATTERN, duration
from orchestrator.policy.rules import Quorum, Word

Count = Annotated[int, Field(ge=0, le=1_000_000)]


def _span(value: Any) -> int:
    try:
        return duration(value)
    except Invalid as error:
        raise ValueError(str(error)) from error


Span = Annotated[
    int, BeforeValidator(_span), WithJsonSchema({"type": ["string", "integer"], "pattern": PATTERN})
]
"""Written `15m` or as a number of seconds; whole seconds inside."""


class Protected(Frozen):
    """What no playbook may contain or destroy, whoever asks. A network protects all that overlaps it, a domain all below it."""

    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    hosts: tuple[Host, ...] = ()
    users: tuple[User, ...] = ()
    domains: tuple[Domain, ...] = ()


class Widest(Frozen):
    """The shortest prefix that a network to be blocked may have: 16 refuses 10.0.0.0/8."""

    ipv4: Annotated[int, Field(ge=1, le=32)] = 16
    ipv6: Annotated[int, Field(ge=1, le=128)] = 32


class Counts(Frozen):
    """How many different targets of a kind; None: as many as you like."""

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


class Window(Counts):
    """How much may be touched within any such span: by all, or by each playbook, source or connector for itself."""

    per: Per = Per.OVERALL
    within: Span


class PolicyLimits(Frozen):
    """How much may be touched before people are asked. `by`, `quorum`: who has to agree to go on."""

    per_run: Counts = Counts()
    windows: Annotated[tuple[Window, ...], Field(max_length=32)] = (
        Window(per=Per.OVERALL, within=3_600, hosts=50, users=50, addresses=1_000, networks=20),
    )
    by: Word | None = None
    quorum: Quorum = 1


class Breaker(Frozen):
    """When a source asks for far more containments than it used to, people are asked about each.

    It trips at `at_least` targets within `within`, when that is more than `factor` times its mean over `compared_with`.
    """

    within: Span = 3_600
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    factor: Annotated[float, Field(ge=1, le=1_000_000)] = 5
    compared_with: Span = 7 * 86_400
    by: Word | None = None
    quorum: Quorum = 1


class Drift(Frozen):
    """How often what is in force is read back, and what happens when it is gone from the device.

    `to`: the group that is told; None: the one that is told of releases which do not come off.
    """

    every: Span = 900
    then: Literal["reapply", "report"] = "report"
    to: Word | None = None


class Releases(Frozen):
    """A release that failed so often is brought before people. `to`: a group; None: everyone who may release."""

    escalate_after: Annotated[int, Field(ge=1, le=1_000)] = 3
    to: Word | None = None


class Approvals(Frozen):
    """`separate`: who published the playbook or started the run has no say. `break_glass`: an admin may decide alone, and is reviewed."""

    separate: bool = True
    remind_every: Span = 300
    break_glass: bool = True
