"""Capabilities: the actions of a firewall, an EDR, a ticket system, alike for every vendor."""

from connectors.capabilities import edr, firewall, identity, messaging, reputation, ticketing
from connectors.capabilities.own import Own
from connectors.sdk.capability import Capability

CAPABILITIES: tuple[type[Capability], ...] = (
    firewall.Firewall,
    edr.Edr,
    ticketing.Ticketing,
    identity.Identity,
    reputation.Reputation,
    messaging.Messaging,
)
"""The capabilities that connectors serve."""

ALL_CAPABILITIES: tuple[type[Capability], ...] = (*CAPABILITIES, Own)
"""Those of connectors, and Tocsin's own, which needs no connection."""
