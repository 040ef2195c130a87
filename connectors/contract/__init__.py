"""The connector contract: the tests that every connector inherits, one per promise.

A vendor's test class inherits `HttpConnectorContract`, or `ConnectorContract` when the connector
does not speak HTTP, and supplies:

    class TestPaloAlto(HttpConnectorContract):
        connector = PaloAlto             # the class under test
        emulator = PaloAltoEmulator      # its emulator
        samples = {                      # an input for every action that the connector supports
            "block_address": Sample({"address": "198.51.100.7"}),
            "unblock_address": Sample({"address": "198.51.100.7"}, prepare=block_it),
        }

Each test opens the connector on a new emulator and runs one action. The promises, by file:

    effects.py   a read and a plan change nothing; apply, then plan again, shows nothing to change;
                 apply twice is one effect; undo restores, and a second undo is harmless; undo
                 leaves alone what existed before and what others hold; tagged objects are listed
                 until they are undone
    failures.py  after a lost reply the effect is found; a system that lies about success is caught;
                 an unreadable reply is never taken for an answer
    http.py      429, 503, 500, timeouts and broken connections become the right error; a wrong
                 credential is rejected; no message contains a secret
"""

from connectors.contract.effects import EffectContract
from connectors.contract.failures import FailureContract
from connectors.contract.http import HttpContract
from connectors.contract.under_test import Sample

__all__ = ["ConnectorContract", "HttpConnectorContract", "Sample"]


class ConnectorContract(EffectContract, FailureContract):
    """The contract of a connector that does not speak HTTP.

    A subclass also implements `make_world()`, which returns the system or its stand-in, and
    `open(world, access, **settings)`.
    """


class HttpConnectorContract(HttpContract, ConnectorContract):
    """The contract of a connector that speaks HTTP to an emulator inside this process."""
