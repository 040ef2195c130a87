"""The API as a protocol: what holds for every route, whatever it is about."""
