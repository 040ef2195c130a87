"""Routes of what stops or limits changes: policy, kill switches, circuit breakers, inventory."""
