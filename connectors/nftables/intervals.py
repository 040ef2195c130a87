"""Elements of an interval set: which covers which, and which parts of one are still free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from pydantic import model_validator

from orchestrator.domain.model import Frozen

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Element(Frozen):
    """The addresses from `first` to `last`, both included."""

    first: str
    last: str
    comment: str | None = None
    timeout: int | None = None
    """Remaining seconds, None for an element without an end."""

    @model_validator(mode="after")
    def _is_an_interval(self) -> Element:
        if self.version != ipaddress.ip_address(self.last).version or self.low > self.high:
            message = f"{self.first} to {self.last} is not an interval"
            raise ValueError(message)
        return self

    @classmethod
    def of(cls, text: str, comment: str | None = None) -> Element:
        """Return the element of an address or a network."""
        network = ipaddress.ip_network(text)
        return cls(first=str(network[0]), last=str(network[-1]), comment=comment)

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.first).version

    @property
    def low(self) -> int:
        """The first address as a number."""
        return int(ipaddress.ip_address(self.first))

    @property
    def high(self) -> int:
        """The last address as a number."""
        return int(ipaddress.ip_address(self.last))

    def contains(self, other: Element) -> bool:
        """Return whether this element contains every address of the other."""
        return self.version == other.version and self.low <= other.low and other.high <= self.high

    def overlaps(self, other: Element) -> bool:
        """Return whether the elements have an address in common."""
        return self.version == other.version and self.low <= other.high and other.low <= self.high

    def is_part_of(self, other: Element) -> bool:
        """Return whether the other contains it and has its comment: a release may have split it."""
        return other.contains(self) and other.comment == self.comment

    def __str__(self) -> str:
        networks = list(
            ipaddress.summarize_address_range(
                ipaddress.ip_address(self.first), ipaddress.ip_address(self.last)
            )
        )
        if len(networks) == 1:
            return self.first if self.first == self.last else str(networks[0])
        return f"{self.first}-{self.last}"

    def value(self) -> Any:
        """Return the element in nft's JSON, without comment and timeout."""
        return self.first if self.first == self.last else {"range": [self.first, self.last]}

    def to_nft(self) -> Any:
        """Return the element in nft's JSON, with comment and timeout."""
        options = {"comment": self.comment, "timeout": self.timeout}
        return {
            "elem": {
                "val": self.value(),
                **{name: value for name, value in options.items() if value is not None},
            }
        }


def from_nft(entry: Any) -> Element:
    """Return an element from nft's JSON: an address, a prefix or a range. Raises ValueError."""
    inner = entry["elem"] if isinstance(entry, dict) and "elem" in entry else {"val": entry}
    comment, left = inner.get("comment"), inner.get("expires", inner.get("timeout"))
    match inner["val"]:
        case str(address):
            first = last = address
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            network = ipaddress.ip_network(f"{address}/{length}", strict=False)
            first, last = str(network[0]), str(network[-1])
        case {"range": [str(first), str(last)]}:
            pass
        case other:
            message = f"an element that is not an address, prefix or range: {str(other)[:80]}"
            raise ValueError(message)
    return Element(first=first, last=last, comment=comment, timeout=left)


def free_parts(wanted: Element, taken: Iterable[Element]) -> tuple[Element, ...]:
    """Return the parts of `wanted` that no taken element contains, in order, with its comment."""
    free, position = [], wanted.low
    for element in sorted(
        (element for element in taken if element.overlaps(wanted)), key=lambda element: element.low
    ):
        if element.low > position:
            free.append(_part(wanted, position, element.low - 1))
        position = max(position, element.high + 1)
    if position <= wanted.high:
        free.append(_part(wanted, position, wanted.high))
    return tuple(free)


def _part(whole: Element, low: int, high: int) -> Element:
    make = ipaddress.IPv4Address if whole.version == 4 else ipaddress.IPv6Address
    return Element(
        first=str(make(low)), last=str(make(high)), comment=whole.comment, timeout=whole.timeout
    )
