"""The arrival of alerts in the store: bodies in pieces, and what a transaction makes of them."""
