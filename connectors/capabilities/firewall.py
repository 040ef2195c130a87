"""Firewalls: deny traffic to and from an address or a network."""

from connectors.sdk.capability import ActionSpec, Capability, Input
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import Address, Network


class AddressInput(Input):
    """One IP address."""

    address: Address


class NetworkInput(Input):
    """One network in CIDR form."""

    network: Network


class Firewall(Capability):
    """A system that can deny traffic."""

    capability = "firewall"
    default_connection = "firewall"
    actions = (
        ActionSpec(
            name="block_address",
            effect=Effect.CONTAIN,
            input=AddressInput,
            summary="Deny all traffic to and from an address.",
        ),
        ActionSpec(
            name="unblock_address",
            effect=Effect.RESTORE,
            input=AddressInput,
            summary="Lift the block of an address.",
            restores="block_address",
        ),
        ActionSpec(
            name="block_network",
            effect=Effect.CONTAIN,
            input=NetworkInput,
            summary="Deny all traffic to and from a network.",
        ),
        ActionSpec(
            name="unblock_network",
            effect=Effect.RESTORE,
            input=NetworkInput,
            summary="Lift the block of a network.",
            restores="block_network",
        ),
    )
