"""Which product is read by what? One parser per file, registered here by name."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Protocol

from orchestrator.domain.alert import Alert
from orchestrator.domain.errors import Invalid
from orchestrator.intake.body import JSON
from orchestrator.intake.mapping import Mapping
from orchestrator.intake.mappings import SHIPPED
from orchestrator.intake.parsers import alertmanager, crowdsec, falco, guardduty, suricata, wazuh
from orchestrator.intake.parsers.generic import GenericParser

GENERIC = "generic"


class Parser(Protocol):
    """Payload and moment of receipt -> alerts, at least one. Raises NotAnAlert, Unparseable, and nothing else."""

    def __call__(self, payload: JSON, now: datetime, /) -> tuple[Alert, ...]: ...


PARSERS: dict[str, Parser] = {
    "suricata": suricata.parse,
    "wazuh": wazuh.parse,
    "crowdsec": crowdsec.parse,
    "alertmanager": alertmanager.parse,
    "guardduty": guardduty.parse,
    "falco": falco.parse,
}

PRODUCTS: tuple[str, ...] = (*PARSERS, *SHIPPED, GENERIC)
"""What a source can be configured as: a parser of its own, a mapping that ships, or `generic` with a mapping of yours."""


def parser_for(product: str, mapping: Mapping | None = None) -> Parser:
    """The parser of a product. A mapping, where there is one, comes before what ships. Raises Invalid that says the mend."""
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
    guess = f"did you mean {close[0]!r}?" if close else "give it a mapping."
    raise Invalid(
        f"unknown product {product!r}: {guess} Known without a mapping: {', '.join(PRODUCTS[:-1])}"
    )
