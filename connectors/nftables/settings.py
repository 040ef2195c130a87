"""Settings of an nftables connection."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.sdk.settings import ConnectorSettings

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

_VERSIONS = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}


class NftablesSettings(ConnectorSettings):
    """A table with two interval sets for its drop rules. Needs CAP_NET_ADMIN and no credential."""

    family: Literal["inet", "ip", "ip6"] = "inet"
    table: Identifier = "tocsin"
    set4: Annotated[
        Identifier, Field(description="Set of type ipv4_addr with `flags interval`")
    ] = "block4"
    set6: Annotated[
        Identifier, Field(description="Set of type ipv6_addr with `flags interval`")
    ] = "block6"
    netns: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Network namespace to use"),
    ] = None
    nft: Annotated[str, Field(pattern=r"^/[!-~]+$", description="Path of the nft tool")] = (
        "/usr/sbin/nft"
    )
    timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="Time limit of one transaction, in seconds")
    ] = 20.0

    @property
    def sets(self) -> dict[int, str]:
        """The name of the set for each IP version that the table's family can match."""
        both = {4: self.set4, 6: self.set6}
        return {version: both[version] for version in _VERSIONS[self.family]}

    @property
    def argv(self) -> list[str]:
        """The command that reads JSON commands from standard input and answers in JSON."""
        return [*self._prefix, self.nft, "-j", "-f", "-"]

    @property
    def outline_argv(self) -> list[str]:
        """The command that reads JSON commands and answers in JSON, without set elements."""
        return [*self._prefix, self.nft, "-j", "-t", "-f", "-"]

    @property
    def terse_argv(self) -> list[str]:
        """The command that reads commands and answers in text, without set elements."""
        return [*self._prefix, self.nft, "-t", "-f", "-"]

    @property
    def _prefix(self) -> list[str]:
        return ["/usr/sbin/ip", "netns", "exec", self.netns] if self.netns else []
