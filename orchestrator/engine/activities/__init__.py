"""Activities of the engine, the only code with side effects; each records what it does."""
