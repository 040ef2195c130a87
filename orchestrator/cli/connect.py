"""The API that a command uses: its address and key, found from the command's options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from orchestrator.cli.api_client import Api
from orchestrator.cli.contexts import load_contexts
from orchestrator.domain.errors import Invalid, NotFound

URL = "TOCSIN_URL"
KEY = "TOCSIN_API_KEY"
DATA_DIR = "TOCSIN_DATA_DIR"
LOCAL = Path("tocsin-data")
"""The data directory that `tocsin up` makes in the current folder where no other is named."""
ADMIN_KEY = "admin.key"


class ApiEndpoint(NamedTuple):
    """The address of an API, and the key to use there."""

    url: str
    key: str


def connect(url: str | None, context: str | None, data_dir: Path | None) -> Api:
    """Return a client of the API that `find_endpoint` finds."""
    return Api(*find_endpoint(url, context, data_dir))


def find_endpoint(url: str | None, context: str | None, data_dir: Path | None) -> ApiEndpoint:
    """Return which API to use, and with which key. Nothing is created.

    In this order: `--url`, `--context`, `--data-dir` (the stack on that data directory, with its
    admin key), TOCSIN_URL, TOCSIN_DATA_DIR, the current context, ./tocsin-data. TOCSIN_API_KEY goes
    with a URL, and takes precedence over an admin key. Raise NotFound with what to do.
    """
    if url is not None:
        return ApiEndpoint(checked_url(url), _key_for_url(url, data_dir))
    if context is not None:
        saved = load_contexts().get(context)
        return ApiEndpoint(saved.url, saved.key)
    if data_dir is None and (named_url := os.environ.get(URL)):
        return ApiEndpoint(checked_url(named_url, URL), _key_for_url(named_url, None))
    named = data_dir or (Path(os.environ[DATA_DIR]) if os.environ.get(DATA_DIR) else None)
    if named is not None:
        return _of_data_dir(named)
    contexts = load_contexts()
    if contexts.current is not None:
        saved = contexts.get(contexts.current)
        return ApiEndpoint(saved.url, saved.key)
    if (LOCAL / ADMIN_KEY).exists():
        return _of_data_dir(LOCAL)
    raise NotFound(
        f"no Tocsin here: name its data directory with --data-dir or {DATA_DIR}, or log in to one "
        "that runs elsewhere with `tocsin login URL`"
    )


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
    url = ports.load_running(data_dir).api_url
    return ApiEndpoint(url, os.environ.get(KEY) or _admin_key(data_dir))


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
