"""The shared action signatures: what a playbook author can ask of a firewall, an EDR, a ticket system, whoever made it."""

from connectors.capabilities import edr, firewall, identity, messaging, reputation, ticketing
from connectors.sdk.capability import Capability

CAPABILITIES: tuple[type[Capability], ...] = (
    firewall.Firewall,
    edr.Edr,
    ticketing.Ticketing,
    identity.Identity,
    reputation.Reputation,
    messaging.Messaging,
)
