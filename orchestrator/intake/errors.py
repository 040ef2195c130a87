"""Reasons why a payload does not become an alert."""

from orchestrator.domain.errors import Invalid, TocsinError


class NotAnAlert(TocsinError):
    """A valid payload without an alert, such as a flow record; the text names what it is."""


class Unparseable(Invalid):
    """A payload without its product's shape; the text names product, JSON path and expectation."""
