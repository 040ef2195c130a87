"""Elements of an interval set, and the arithmetic over them: what covers what, and which parts are still free."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from pydantic import model_validator

from orchestrator.domain.model import Frozen

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Element(Frozen):
    """Addresses `first` to `last`, both included. `timeout`: seconds that it has left, None for without end."""

    first: str
    last: str
    comment: str | None = None
    timeout: int | None = None

    @model_validator(mode="after")
    def _is_an_interval(self) -> Element:
        if self.version != ipaddress.ip_address(self.last).version or self.low > self.high:
            message = f"{self.first} to {self.last} is no interval"
            raise ValueError(message)
        return self

    @classmethod
    def of(cls, text: str, comment: str | None = None) -> Element:
        """From an address or a network."""
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

    def holds(self, other: Element) -> bool:
        """Whether every address of the other is in this one."""
        return self.version == other.version and self.low <= other.low and other.high <= self.high

    def meets(self, other: Element) -> bool:
        """Whether they have an address in common."""
        return self.version == other.version and self.low <= other.high and other.low <= self.high

    def same(self, other: Element) -> bool:
        """The same addresses under the same comment; time goes by, so timeouts don't count."""
        return (self.first, self.last, self.comment) == (other.first, other.last, other.comment)

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
        """As nft's JSON says it, without comment."""
        return self.first if self.first == self.last else {"range": [self.first, self.last]}

    def to_nft(self) -> Any:
        """As nft's JSON says it, comment and timeout included."""
        more = {"comment": self.comment, "timeout": self.timeout}
        return {
            "elem": {
                "val": self.value(),
                **{name: value for name, value in more.items() if value is not None},
            }
        }


def from_nft(entry: Any) -> Element:
    """An element as nft lists it: an address, a prefix, a range, bare or with comment and timeout. Raises ValueError."""
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
            message = f"an element that is no address, prefix or range: {str(other)[:80]}"
            raise ValueError(message)
    return Element(first=first, last=last, comment=comment, timeout=left)


def free_parts(wanted: Element, taken: Iterable[Element]) -> tuple[Element, ...]:
    """The parts of `wanted` that no taken element holds, in order, under the wanted one's comment."""
    free, position = [], wanted.low
    for element in sorted(
        (element for element in taken if element.meets(wanted)), key=lambda element: element.low
    ):
        if element.low > position:
            free.append(_part(wanted, position, element.low - 1))
        position = max(position, element.high + 1)
    if position <= wanted.high:
        free.append(_part(wanted, position, wanted.high))
    return tuple(free)


def _part(whole: Element, low: int, high: int) -> Element:
    make = ipaddress.IPv4Address if whole.version == 4 else ipaddress.IPv6Address
    return Element(first=str(make(low)), last=str(make(high)), comment=whole.comment)
