"""Rules of a policy: conditions, all of which must hold, and one verdict."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Address, Domain, Host, Network, ObservableType, User
from orchestrator.playbook.problems import did_you_mean

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def as_list(written: Any) -> Any:
    """Expand a single value to a list of one."""
    return written if isinstance(written, list | tuple) else (written,)


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a time of day; write it as '22:00'")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        fix = did_you_mean(text, available_timezones()) or "write such as Europe/Berlin"
        raise ValueError(f"{text[:64]!r} is not a time zone; {fix}") from None
    return text


def _tag(text: str) -> str:
    """Return a tag in lower case with dashes, as in the inventory."""
    return re.sub(r"[\s_]+", "-", text.strip().lower())


Word = Annotated[str, Field(min_length=1, max_length=250)]
Words = Annotated[tuple[Word, ...], BeforeValidator(as_list), Field(min_length=1)]
Tags = Annotated[
    tuple[Annotated[str, AfterValidator(_tag), Field(min_length=1, max_length=64)], ...],
    BeforeValidator(as_list),
]
Quorum = Annotated[int, Field(ge=1, le=10)]
Clock = Annotated[str, AfterValidator(_clock)]
Degree = Annotated[int, Field(ge=0, le=6)]


class TargetIs(Frozen):
    """The target of the change: its type, and one entry of the lists, if any is given.

    An address matches the networks that contain it, and a domain its parents. Hosts and users are
    compared as protection compares them.
    """

    type: (
        Annotated[tuple[ObservableType, ...], BeforeValidator(as_list), Field(min_length=1)] | None
    ) = None
    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    domains: tuple[Domain, ...] = ()
    hosts: tuple[Host, ...] = ()
    users: tuple[User, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type is None and not self.named:
            raise ValueError("matches every target; give `type`, or a list such as `networks`")
        return self

    @property
    def named(self) -> bool:
        """Whether it names targets, not only their type."""
        return bool(self.addresses or self.networks or self.domains or self.hosts or self.users)


class SeverityIs(Frozen):
    """A range of the alert's severity, inclusive."""

    at_least: Degree = 0
    at_most: Degree = 6

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError("`at_least` is greater than `at_most`; exchange the two")
        return self


class Hours(Frozen):
    """A span of the day in a time zone. Over midnight it belongs to the day on which it begins."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True
    )  # stored as JSON by field name

    from_: Annotated[Clock | None, Field(alias="from")] = None
    to: Clock | None = None
    days: Annotated[tuple[Day, ...], BeforeValidator(as_list), Field(min_length=1)] = DAYS
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` go together; give both")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("`from` equals `to`; for whole days leave both out")
        if self.from_ is None and self.days == DAYS:
            raise ValueError("matches always; give `from` and `to`, or `days`")
        return self

    @property
    def span(self) -> tuple[time, time] | None:
        """Begin and end (exclusive); None for whole days."""
        return (
            (time.fromisoformat(self.from_), time.fromisoformat(self.to))
            if self.from_ and self.to
            else None
        )


class RequiredApproval(Frozen):
    """The people who must approve."""

    by: Word | None = None  # a group; None: every approver
    quorum: Quorum = 1


def _at_least(written: Any) -> Any:
    return (
        {"at_least": written}
        if isinstance(written, int) and not isinstance(written, bool)
        else written
    )


def _asked(written: Any) -> Any:
    if written is False:
        raise ValueError(
            "write `allow: true`, or `deny:` with a reason, instead of `approve: false`"
        )
    return {} if written is True else written


def _allowed(written: Any) -> Any:
    if written is not None and written is not True:
        raise ValueError(
            "can only be `true`; to deny, write `deny:` with a reason, which people see"
        )
    return written


class Rule(Frozen):
    """One rule. An omitted condition always holds; without `effect` it covers every change."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    effect: Annotated[tuple[Effect, ...], BeforeValidator(as_list), Field(min_length=1)] | None = (
        None
    )
    action: Words | None = None  # `block_network`, or with its connection `firewall.block_network`
    target: TargetIs | None = None
    tags: Annotated[Tags, Field(min_length=1)] | None = None  # any of them
    severity: Annotated[SeverityIs, BeforeValidator(_at_least)] | None = None
    source: Words | None = None
    playbook: Words | None = None
    connection: Words | None = None
    connector: Words | None = None
    time: Hours | None = None
    known: bool | None = None  # in the inventory; a target that cannot be an asset counts as known
    internal: bool | None = None  # a target that belongs to the organization
    held_by_others: bool | None = None  # a restore of what other runs' leases hold
    approved_by_group: bool | None = None  # a release or restore of what a group approved
    allow: Annotated[Literal[True], BeforeValidator(_allowed)] | None = None
    deny: Word | None = None
    approve: Annotated[RequiredApproval, BeforeValidator(_asked)] | None = None
    line: int | None = None  # in its file; not part of the digest

    @model_validator(mode="after")
    def _decides(self) -> Self:
        given = [name for name in ("allow", "deny", "approve") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "nothing"
            raise ValueError(
                f"decides {found}; give exactly one of `allow: true`, `deny: reason`,"
                " `approve: true`"
            )
        if self.effect and Effect.READ in self.effect and not self.allow:
            raise ValueError("reads are always allowed; name an effect that changes something")
        is_release = self.effect == (Effect.RELEASE,)
        if is_release and self.approve is not None and self.approve.quorum > 1:
            raise ValueError("one person of the group releases it; leave `quorum` out")
        return self

    @property
    def verdict(self) -> Verdict:
        """The verdict on a change that matches."""
        if self.allow:
            return Verdict.ALLOW
        return Verdict.DENY if self.deny else Verdict.ASK

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the conditions that are given."""
        return tuple(name for name in CONDITIONS if getattr(self, name) is not None)


CONDITIONS = (
    "effect",
    "action",
    "target",
    "tags",
    "severity",
    "source",
    "playbook",
    "connection",
    "connector",
    "time",
    "known",
    "internal",
    "held_by_others",
    "approved_by_group",
)
