"""Search: observables and targets by value, and the filters that lists share."""
