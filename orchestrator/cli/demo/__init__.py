"""The demo: a stack of its own, what products really send, people who answer, and the account of what came of it."""
