"""The path of an alert into the store: fixed statements, compiled once, on the driver itself."""
