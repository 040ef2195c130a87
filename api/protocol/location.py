"""Location of what a request created, relative to its own path."""

from __future__ import annotations

import json
from urllib.parse import quote

from starlette.responses import Response

CREATED = 201
LOCATIONS = {
    "/v1/containments": "runs/{id}",
    "/v1/debug-sessions": "debug-sessions/{id}",
    "/v1/keys": "keys/{id}",
    "/v1/kill-switches": "kill-switches/{scope}/{name}",
    "/v1/people": "people/{id}",
    "/v1/playbooks": "playbooks/{name}?version={version}",
    "/v1/playbooks/{playbook}/{version}/signatures": "signatures",
    "/v1/runs": "runs/{id}",
    "/v1/signing-keys": "signing-keys/{fingerprint}",
    "/v1/sources": "sources/{name}",
}
"""Where each route that answers 201 puts what it creates; relative, as a proxy may add a prefix."""


def add_location(path: str, response: Response) -> None:
    """Add the Location of what the request created."""
    if response.status_code != CREATED or "location" in response.headers:
        return
    created = json.loads(bytes(response.body))
    names = {name: quote(str(value), safe="") for name, value in created.items()}
    response.headers["Location"] = LOCATIONS[path].format_map(names)
