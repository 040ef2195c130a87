"""Endpoint detection and response: look at a host, cut it off the network, let it back."""

from typing import Literal

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import Hash, Host


class HostInput(Input):
    """A host, by the vendor's device id or by host name."""

    host: Host


class HashInput(Input):
    """A file, by its hash."""

    hash: Hash


class HostDetails(Output):
    """What the EDR knows of a host. `last_seen`: ISO 8601, UTC."""

    id: str
    name: str
    address: str | None = None
    platform: str | None = None
    isolation: Literal["none", "pending", "isolated", "lifting"] = "none"
    online: bool = True
    last_seen: str | None = None
    tags: tuple[str, ...] = ()


class Edr(Capability):
    """A system with an agent on the endpoints."""

    capability = "edr"
    usual_connection = "edr"
    actions = (
        ActionSpec(
            name="find_host",
            effect=Effect.READ,
            input=HostInput,
            output=HostDetails,
            summary="Look a host up.",
        ),
        ActionSpec(
            name="isolate_host",
            effect=Effect.CONTAIN,
            input=HostInput,
            summary="Cut a host off the network, but for the EDR itself.",
        ),
        ActionSpec(
            name="release_host",
            effect=Effect.RESTORE,
            input=HostInput,
            summary="Let an isolated host back on the network.",
        ),
        ActionSpec(
            name="ban_hash",
            effect=Effect.CONTAIN,
            input=HashInput,
            summary="Prevent a file from running on all endpoints.",
        ),
        ActionSpec(
            name="unban_hash",
            effect=Effect.RESTORE,
            input=HashInput,
            summary="Let a banned file run again.",
        ),
    )
