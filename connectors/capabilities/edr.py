"""Endpoint detection and response: find hosts, isolate them, and ban files."""

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
    """A host as the EDR knows it."""

    id: str
    name: str
    address: str | None = None
    platform: str | None = None
    isolation: Literal["none", "pending", "isolated", "lifting"] = "none"
    online: bool = True
    last_seen: str | None = None
    """ISO 8601, UTC."""
    tags: tuple[str, ...] = ()


class Edr(Capability):
    """A system with an agent on the endpoints."""

    capability = "edr"
    default_connection = "edr"
    actions = (
        ActionSpec(
            name="find_host",
            effect=Effect.READ,
            input=HostInput,
            output=HostDetails,
            summary="Look up a host.",
        ),
        ActionSpec(
            name="isolate_host",
            effect=Effect.CONTAIN,
            input=HostInput,
            summary="Isolate a host from the network, except from the EDR itself.",
        ),
        ActionSpec(
            name="release_host",
            effect=Effect.RESTORE,
            input=HostInput,
            summary="End the isolation of a host.",
            restores="isolate_host",
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
            summary="Allow a banned file to run again.",
            restores="ban_hash",
        ),
    )
