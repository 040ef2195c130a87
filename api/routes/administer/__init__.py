"""Routes for administrators: sources, connections, people, keys, audit."""
