"""What may a rule of a policy say? Conditions, all of which have to hold, and one verdict."""

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


def _listed(written: Any) -> Any:
    """One thing is short for a list of one."""
    return written if isinstance(written, list | tuple) else (written,)


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a time of day; write it as '22:00'")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        mend = did_you_mean(text, available_timezones()) or "write such as Europe/Berlin"
        raise ValueError(f"{text[:64]!r} is not a time zone; {mend}") from None
    return text


def _tag(text: str) -> str:
    """Tags are lower case with dashes, here as in the inventory."""
    return re.sub(r"[\s_]+", "-", text.strip().lower())


Word = Annotated[str, Field(min_length=1, max_length=250)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(min_length=1)]
Tags = Annotated[
    tuple[Annotated[str, AfterValidator(_tag), Field(min_length=1, max_length=64)], ...],
    BeforeValidator(_listed),
]
Quorum = Annotated[int, Field(ge=1, le=10)]
Clock = Annotated[str, AfterValidator(_clock)]
Degree = Annotated[int, Field(ge=0, le=6)]


class TargetIs(Frozen):
    """What the change touches. `type` has to fit, and one entry of the lists, as far as there are any.

    An address fits the networks that hold it, a domain those above it, a host or user is compared as protection does.
    """

    type: (
        Annotated[tuple[ObservableType, ...], BeforeValidator(_listed), Field(min_length=1)] | None
    ) = None
    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    domains: tuple[Domain, ...] = ()
    hosts: tuple[Host, ...] = ()
    users: tuple[User, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type is None and not self.named:
            raise ValueError("fits every target; give `type`, or a list such as `networks`")
        return self

    @property
    def named(self) -> bool:
        """Whether it names targets, not only their type."""
        return bool(self.addresses or self.networks or self.domains or self.hosts or self.users)


class SeverityIs(Frozen):
    """The alert's severity lies between the two, both included."""

    at_least: Degree = 0
    at_most: Degree = 6

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError("no severity is at least and at most that; exchange the two")
        return self


class Hours(Frozen):
    """A span of the day in a time zone. Over midnight it belongs to the day on which it began."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True
    )  # kept as JSON by its own name

    from_: Annotated[Clock | None, Field(alias="from")] = None
    to: Clock | None = None
    days: Annotated[tuple[Day, ...], BeforeValidator(_listed), Field(min_length=1)] = DAYS
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` go together; give both")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError("begins when it ends; for whole days leave both out")
        if self.from_ is None and self.days == DAYS:
            raise ValueError("is always; give `from` and `to`, or `days`")
        return self

    @property
    def span(self) -> tuple[time, time] | None:
        """From when to when (not included); None: whole days."""
        return (
            (time.fromisoformat(self.from_), time.fromisoformat(self.to))
            if self.from_ and self.to
            else None
        )


class Ask(Frozen):
    """Who has to agree. `by`: a group; None: anyone who may decide."""

    by: Word | None = None
    quorum: Quorum = 1


def _at_least(written: Any) -> Any:
    return (
        {"at_least": written}
        if isinstance(written, int) and not isinstance(written, bool)
        else written
    )


def _asked(written: Any) -> Any:
    if written is False:
        raise ValueError("a rule that does not ask is `allow: true`, or `deny:` with the reason")
    return {} if written is True else written


def _allowed(written: Any) -> Any:
    if written is not None and written is not True:
        raise ValueError(
            "can only be `true`; to refuse, write `deny:` with the reason, which is shown to whoever is refused"
        )
    return written


class Rule(Frozen):
    """One line of the policy. Left out, a condition always holds; without `effect` it is about all that changes something."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    effect: Annotated[tuple[Effect, ...], BeforeValidator(_listed), Field(min_length=1)] | None = (
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
    known: bool | None = (
        None  # whether the inventory knows the target; what can't be an asset of ours counts as known
    )
    allow: Annotated[Literal[True], BeforeValidator(_allowed)] | None = None
    deny: Word | None = None
    approve: Annotated[Ask, BeforeValidator(_asked)] | None = None
    line: int | None = None  # where it stands; no part of what is said

    @model_validator(mode="after")
    def _decides(self) -> Self:
        given = [name for name in ("allow", "deny", "approve") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "nothing"
            raise ValueError(
                f"decides {found}; give exactly one of `allow: true`, `deny: reason`, `approve: true`"
            )
        if self.effect and Effect.READ in self.effect and not self.allow:
            raise ValueError(
                "reads change nothing and are always allowed; name an effect that changes something"
            )
        return self

    @property
    def verdict(self) -> Verdict:
        """What it says of a change that fits."""
        if self.allow:
            return Verdict.ALLOW
        return Verdict.DENY if self.deny else Verdict.ASK

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the conditions that are written."""
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
)
