"""nftables on a Linux machine, through the `nft` tool."""
