"""The shipped mappings: one JSON file per product, in the form that an administrator writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files

from orchestrator.intake.mapping import Mapping, check_mapping


@cache
def _load(name: str) -> Mapping:
    return check_mapping(json.loads(files(__package__).joinpath(f"{name}.json").read_text("utf-8")))


SHIPPED: dict[str, Callable[[], Mapping]] = {
    name: partial(_load, name)
    for name in (
        "aws_securityhub",
        "crowdstrike",
        "elastic_security",
        "github",
        "microsoft_defender",
        "ocsf",
        "okta",
        "sentinelone",
    )
}
"""Loaders by product name; each file is read and checked on first use."""
