"""The API that a command uses: its address and key, found from the command's options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from orchestrator.cli.api_client import Api
from orchestrator.cli.contexts import SavedContext, load_contexts
from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import Invalid, NotFound

URL = "TOCSIN_URL"
KEY = "TOCSIN_API_KEY"
CA = "TOCSIN_CA"
DATA_DIR = "TOCSIN_DATA_DIR"
LOCAL = Path("tocsin-data")
"""The data directory that `tocsin up` makes in the current folder where no other is named."""
ADMIN_KEY = "admin.key"


class ApiEndpoint(NamedTuple):
    """The address of an API, the key to use there, and the certificates to accept."""

    url: str
    key: str
    trust: ServerTrust = ServerTrust()


def connect(
    url: str | None, context: str | None, data_dir: Path | None, ca: Path | None = None
) -> Api:
    """Return a client of the API that `find_endpoint` finds; `ca`: the authorities to trust."""
    found = find_endpoint(url, context, data_dir)
    return Api(found.url, found.key, found.trust if ca is None else ServerTrust(ca))


def trust_for_url(url: str, ca: Path | None = None) -> ServerTrust:
    """Return what to trust at a URL: `ca`, TOCSIN_CA, or what its context was saved with."""
    if ca is None and (named := os.environ.get(CA)):
        ca = Path(named)
    if ca is None:
        saved = load_contexts().saved.values()
        ca = next((each.ca for each in saved if each.url == url.rstrip("/")), None)
    return ServerTrust(ca)


def find_endpoint(url: str | None, context: str | None, data_dir: Path | None) -> ApiEndpoint:
    """Return which API to use, and with which key. Nothing is created.

    In this order: `--url`, `--context`, `--data-dir` (the stack on that data directory, with its
    admin key), TOCSIN_URL, TOCSIN_DATA_DIR, the current context, ./tocsin-data. TOCSIN_API_KEY goes
    with a URL, and takes precedence over an admin key. Raise NotFound with what to do.
    """
    if url is not None:
        return _of_url(checked_url(url), data_dir)
    if context is not None:
        return _of_context(load_contexts().get(context))
    if data_dir is None and (named_url := os.environ.get(URL)):
        return _of_url(checked_url(named_url, URL), None)
    named = data_dir or (Path(os.environ[DATA_DIR]) if os.environ.get(DATA_DIR) else None)
    if named is not None:
        return _of_data_dir(named)
    contexts = load_contexts()
    if contexts.current is not None:
        return _of_context(contexts.get(contexts.current))
    if (LOCAL / ADMIN_KEY).exists():
        return _of_data_dir(LOCAL)
    raise NotFound(
        f"no Tocsin here: name its data directory with --data-dir or {DATA_DIR}, or log in to one "
        "that runs elsewhere with `tocsin login URL`"
    )


def _of_url(url: str, data_dir: Path | None) -> ApiEndpoint:
    return ApiEndpoint(url, _key_for_url(url, data_dir), trust_for_url(url))


def _of_context(saved: SavedContext) -> ApiEndpoint:
    trust = ServerTrust(saved.ca) if saved.ca else trust_for_url(saved.url)
    return ApiEndpoint(saved.url, saved.key, trust)


def _key_for_url(url: str, data_dir: Path | None) -> str:
    """Return the key for a URL; a local admin key is only sent where --data-dir names it."""
    if key := os.environ.get(KEY):
        return key
    if data_dir is not None:
        return _admin_key(data_dir)
    for saved in load_contexts().saved.values():
        if saved.url == url.rstrip("/"):
            return saved.key
    raise NotFound(f"{url}: put an API key into {KEY}, or run `tocsin login {url}` once")


def _of_data_dir(data_dir: Path) -> ApiEndpoint:
    from orchestrator.cli.stack import ports

    if not data_dir.is_dir():
        raise NotFound(
            f"no Tocsin here: {data_dir} does not exist; start one with "
            f"`tocsin up --data-dir {data_dir}`, or name another data directory with --data-dir or "
            f"{DATA_DIR}, or run `tocsin login URL`"
        )
    listening = ports.load_running(data_dir)
    key = os.environ.get(KEY) or _admin_key(data_dir)
    return ApiEndpoint(listening.api_url, key, listening.trust)


def _admin_key(data_dir: Path) -> str:
    path = data_dir / ADMIN_KEY
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a key"
        raise NotFound(f"{path}: cannot be read ({reason}); put an API key into {KEY}") from error


def checked_url(url: str, what: str = "--url") -> str:
    """Return the URL without a slash at its end. Raise Invalid that names the option `what`."""
    if not url.startswith(("http://", "https://")):
        raise Invalid(
            f"{what} {url}: write it like https://tocsin.example or http://127.0.0.1:8080"
        )
    return url.rstrip("/")
