"""Assets: the inventory of hosts, users and networks, and what it says about targets."""
