"""What the alerts of a body start, worked out before the transaction that commits them."""
