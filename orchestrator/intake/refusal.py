"""Why a payload does not become an alert.

NotAnAlert     well-formed telemetry that asks for nothing (a flow record, a subscription notice)
Unparseable    the payload is not what its source is configured to send; the message names the JSON path
"""

from orchestrator.domain.errors import Invalid, TocsinError


class NotAnAlert(TocsinError):
    """The payload is understood, and nothing in it is an alert. The text says what it is."""


class Unparseable(Invalid):
    """The payload does not have the shape of its product. The text names the product, the path and what was expected."""
