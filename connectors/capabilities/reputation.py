"""Threat intelligence: what others say of an address, a domain, a URL, a file."""

from typing import Annotated

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import Address, Domain, Hash, Url


class AddressQuery(Input):
    """One IP address."""

    address: Address


class DomainQuery(Input):
    """One domain name."""

    domain: Domain


class UrlQuery(Input):
    """One URL."""

    url: Url


class HashQuery(Input):
    """One file, by its hash."""

    hash: Hash


class Verdict(Output):
    """How many engines say what. `known: False`: nobody has seen it, and all counts are 0."""

    known: bool
    malicious: Annotated[int, Field(ge=0)]
    suspicious: Annotated[int, Field(ge=0)]
    harmless: Annotated[int, Field(ge=0)]
    undetected: Annotated[int, Field(ge=0)]
    reputation: int = 0
    tags: tuple[str, ...] = ()
    link: str | None = None


class Reputation(Capability):
    """A source of verdicts."""

    capability = "reputation"
    usual_connection = "reputation"
    actions = (
        ActionSpec(
            name="lookup_address",
            effect=Effect.READ,
            input=AddressQuery,
            output=Verdict,
            summary="Verdicts on an IP address.",
        ),
        ActionSpec(
            name="lookup_domain",
            effect=Effect.READ,
            input=DomainQuery,
            output=Verdict,
            summary="Verdicts on a domain.",
        ),
        ActionSpec(
            name="lookup_url",
            effect=Effect.READ,
            input=UrlQuery,
            output=Verdict,
            summary="Verdicts on a URL.",
        ),
        ActionSpec(
            name="lookup_hash",
            effect=Effect.READ,
            input=HashQuery,
            output=Verdict,
            summary="Verdicts on a file.",
        ),
    )
