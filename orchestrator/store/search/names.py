"""Readings of what a person looks for: every type that a value can have, in canonical spelling."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL, ObservableType

MAX_VALUE = 4096
PEOPLE = (ObservableType.USER, ObservableType.EMAIL)
WITH_SHORT_NAMES = (ObservableType.HOST, *PEOPLE)
"""Types whose values may carry a domain: `dc-01` is `dc-01.corp.example`."""


@dataclass(frozen=True, slots=True)
class TypedValue:
    """One reading of a value."""

    type: ObservableType
    value: str

    @property
    def short(self) -> str:
        """The name without its domain; the value itself where the type has no domains."""
        return short_name(self.type, self.value)


def short_name(kind: ObservableType, value: str) -> str:
    r"""Return a host or user without the domain: `dc-01`, `j.doe`; other values as they are."""
    if kind is ObservableType.HOST and not _is_address(value):
        return value.partition(".")[0]
    if kind in PEOPLE:
        return value.rpartition("\\")[2].partition("@")[0]
    return value


def parse_names(text: str) -> tuple[TypedValue, ...]:
    """Return the readings of a value, or of `TYPE:VALUE`. Raise Invalid for one without any."""
    text = text.strip()
    kind, _, rest = text.partition(":")
    if not 0 < len(text) <= MAX_VALUE:
        raise Invalid(f"give a value of 1 to {MAX_VALUE} characters, such as 198.51.100.7")
    if kind in set(ObservableType) and rest.strip():
        found = tuple(_readings(rest.strip(), (ObservableType(kind),)))
        if not found:
            raise Invalid(f"{rest.strip()[:100]!r} is not of the type {kind}")
        return found
    return tuple(_readings(text, tuple(ObservableType)))


def parse_covering(text: str) -> tuple[TypedValue, ...]:
    """Return the names of all that covers a target: itself, networks around it, parent domains.

    Raise Invalid.
    """
    found = dict.fromkeys(parse_names(text))
    for name in tuple(found):
        match name.type:
            case ObservableType.ADDRESS | ObservableType.NETWORK:
                found |= dict.fromkeys(_networks_around(name.value))
            case ObservableType.DOMAIN:
                found |= dict.fromkeys(_parent_domains(name.value))
            case _:
                pass
    return tuple(found)


def _readings(text: str, kinds: tuple[ObservableType, ...]) -> Iterator[TypedValue]:
    for kind in kinds:
        try:
            value = CANONICAL[kind](text)
        except ValueError:  # UnicodeError, of IDNA, is one too
            continue
        if value:
            yield TypedValue(kind, value)


def _networks_around(value: str) -> Iterator[TypedValue]:
    inner = ipaddress.ip_network(value)
    for length in range(inner.prefixlen + 1):
        yield TypedValue(ObservableType.NETWORK, str(inner.supernet(new_prefix=length)))
    if inner.num_addresses == 1:
        yield TypedValue(ObservableType.ADDRESS, str(inner.network_address))


def _parent_domains(value: str) -> Iterator[TypedValue]:
    labels = value.split(".")
    for start in range(1, len(labels) - 1):
        yield TypedValue(ObservableType.DOMAIN, ".".join(labels[start:]))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
