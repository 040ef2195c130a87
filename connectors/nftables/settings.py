"""What an nftables connection is configured with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.sdk.settings import ConnectorSettings

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


class NftablesSettings(ConnectorSettings):
    """A table with two interval sets that a drop rule uses. Needs CAP_NET_ADMIN, and no credential."""

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
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="Network namespace to work in"
        ),
    ] = None
    nft: Annotated[str, Field(pattern=r"^/[!-~]+$", description="Where the nft tool is")] = (
        "/usr/sbin/nft"
    )
    timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="The longest one transaction may take, in seconds")
    ] = 20.0

    @property
    def sets(self) -> dict[int, str]:
        """The set for each IP version."""
        return {4: self.set4, 6: self.set6}

    @property
    def argv(self) -> list[str]:
        """The command that reads and writes JSON; what it shall do goes in by standard input."""
        return [*self._prefix, self.nft, "-j", "-f", "-"]

    @property
    def terse_argv(self) -> list[str]:
        """The command that reads and writes text, without elements."""
        return [*self._prefix, self.nft, "-t", "-f", "-"]

    @property
    def _prefix(self) -> list[str]:
        return ["/usr/sbin/ip", "netns", "exec", self.netns] if self.netns else []
