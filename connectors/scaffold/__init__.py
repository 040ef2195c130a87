"""The scaffold: writes a new connector with its emulator and tests, and registers it."""
