"""The parsers, one file per product, registered by the product's name."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

from orchestrator.domain.errors import Invalid
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.body import JSON
from orchestrator.intake.mapping import Mapping
from orchestrator.intake.mappings import SHIPPED
from orchestrator.intake.parsers import alertmanager, crowdsec, falco, guardduty, suricata, wazuh
from orchestrator.intake.parsers.generic import GenericParser

GENERIC = "generic"


class Parser(Protocol):
    """A function from a payload and the time of receipt to alerts, at least one.

    It raises NotAnAlert and Unparseable only.
    """

    def __call__(self, payload: JSON, now: datetime, /) -> AlertBatch: ...


PARSERS: dict[str, Parser] = {
    "suricata": suricata.parse,
    "wazuh": wazuh.parse,
    "crowdsec": crowdsec.parse,
    "alertmanager": alertmanager.parse,
    "guardduty": guardduty.parse,
    "falco": falco.parse,
}

PRODUCTS: tuple[str, ...] = (*PARSERS, *SHIPPED, GENERIC)
"""Products that a source can name: with a parser, with a shipped mapping, or `generic`."""


def parser_for(product: str, mapping: Mapping | None = None) -> Parser:
    """Return the parser of a product. A given mapping takes precedence.

    Raise Invalid, with the fix, for an unknown product.
    """
    if mapping is not None:
        return GenericParser(mapping, product)
    if product in PARSERS:
        return PARSERS[product]
    if product in SHIPPED:
        return GenericParser(SHIPPED[product](), product)
    if product == GENERIC:
        message = "product generic needs a mapping (JSON: field -> JMESPath)"
        raise Invalid(message)
    close = get_close_matches(product, PRODUCTS, 1)
    guess = f"did you mean {close[0]!r}?" if close else "add a mapping."
    raise Invalid(
        f"unknown product {product!r}: {guess} "
        f"Products that need no mapping: {', '.join(PRODUCTS[:-1])}"
    )
