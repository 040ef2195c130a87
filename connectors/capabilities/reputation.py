"""Threat intelligence: verdicts on addresses, domains, URLs and files."""

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


class ReputationVerdict(Output):
    """The number of engines with each verdict."""

    known: bool
    """False if the source has no report; then every count is 0."""
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
    default_connection = "reputation"
    actions = (
        ActionSpec(
            name="lookup_address",
            effect=Effect.READ,
            input=AddressQuery,
            output=ReputationVerdict,
            summary="Verdicts on an IP address.",
        ),
        ActionSpec(
            name="lookup_domain",
            effect=Effect.READ,
            input=DomainQuery,
            output=ReputationVerdict,
            summary="Verdicts on a domain.",
        ),
        ActionSpec(
            name="lookup_url",
            effect=Effect.READ,
            input=UrlQuery,
            output=ReputationVerdict,
            summary="Verdicts on a URL.",
        ),
        ActionSpec(
            name="lookup_hash",
            effect=Effect.READ,
            input=HashQuery,
            output=ReputationVerdict,
            summary="Verdicts on a file.",
        ),
    )
