"""The proof: random sequences of events, and the laws of the engine that hold in all of them."""
