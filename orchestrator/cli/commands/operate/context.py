"""`tocsin login` and `tocsin context`: the installations that a person works with."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orchestrator.cli.api_client import Api, Unauthenticated
from orchestrator.cli.command import Answer, Table, local_command, noun
from orchestrator.cli.connect import checked_url, trust_for_url
from orchestrator.cli.contexts import SavedContext, contexts_file, load_contexts, save_contexts
from orchestrator.cli.options import CertificateAuthority
from orchestrator.cli.output import print_line
from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import Forbidden, Invalid, NotFound

app = noun("Contexts: the installations that you log in to.")

Name = Annotated[str, typer.Argument(help="The context's name, as `tocsin context list` shows it.")]

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def login(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The address, such as https://tocsin.example.")
    ],
    name: Annotated[
        str | None, typer.Option(help="The context's name; without it, the host of the URL.")
    ] = None,
    ca: CertificateAuthority = None,
) -> None:
    """Save the URL and key of an installation, and use it from now on.

    The API key is asked for, or read from stdin where it is not a terminal. It is checked with the
    API, and kept in your configuration directory, readable by you alone.
    """
    address = _safe_url(checked_url(url, "URL"))
    chosen = name or _name_of(address)
    contexts = load_contexts()  # a damaged file is reported before the key is typed
    trusted = trust_for_url(address, ca).authorities
    context = SavedContext(address, _read_key(), trusted.absolute() if trusted else None)
    person = _check_key(context)
    save_contexts(contexts.with_context(chosen, context))
    print_line(f"logged in to {address} as {person}; context {chosen} saved in {contexts_file()}")


@local_command(app, "list")
def list_contexts() -> Answer:
    """List the saved contexts, without their keys."""
    contexts = load_contexts()
    items = [
        {"name": name, "url": context.url, "current": name == contexts.current}
        for name, context in contexts.saved.items()
    ]
    return Answer(items, Table(items, ("name", "url", "current")))


@local_command(app, "use")
def use(name: Name) -> Answer:
    """Make a context the current one."""
    contexts = load_contexts().with_current(name)
    save_contexts(contexts)
    return Answer({"name": name, "url": contexts.get(name).url}, f"context {name} is current")


@local_command(app, "show")
def show(
    name: Annotated[
        str | None, typer.Argument(help="The context's name; without it, the current one.")
    ] = None,
) -> Answer:
    """Show a context, and the person and permissions that its key stands for."""
    contexts = load_contexts()
    chosen = name or contexts.current
    if chosen is None:
        raise NotFound("no current context; log in with `tocsin login URL`")
    context = contexts.get(chosen)
    with Api(context.url, context.key, _trust(context)) as api:
        who = api.get("/v1/me")
    data = {"name": chosen, "url": context.url, "current": chosen == contexts.current, **who}
    lines = [
        f"{chosen}: {context.url}",
        f"person: {who['person']}",
        f"roles: {', '.join(who['roles'])}",
        f"permissions: {', '.join(who['permissions'])}",
    ]
    return Answer(data, "\n".join(lines))


@local_command(app, "remove")
def remove(name: Name) -> Answer:
    """Remove a context with its key from this machine; the key itself stays valid."""
    save_contexts(load_contexts().without(name))
    return Answer(
        {"name": name}, f"context {name} removed; the key stays valid until `tocsin key revoke`"
    )


def _trust(context: SavedContext) -> ServerTrust:
    return ServerTrust(context.ca) if context.ca else trust_for_url(context.url)


def _safe_url(url: str) -> str:
    """Return the URL. Raise Invalid where the key would be sent in the clear over a network."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise Invalid(f"{url}: the key would be sent in the clear; use https://")
    return url


def _name_of(url: str) -> str:
    parts = urlsplit(url)
    host = "".join(each if each.isalnum() else "-" for each in parts.hostname or "").strip("-")
    return f"{host}-{parts.port}" if parts.port else host


def _read_key() -> str:
    if sys.stdin.isatty():
        key = str(typer.prompt("API key", hide_input=True))
    else:
        key = sys.stdin.readline()
    if not key.strip():
        raise Invalid("no key given; type it, or pipe it: `tocsin login URL < key-file`")
    return key.strip()


def _check_key(context: SavedContext) -> str:
    """Return the person that the key stands for. Raise Forbidden for a key that is not accepted."""
    try:
        with Api(context.url, context.key, _trust(context)) as api:
            return str(api.get("/v1/me")["person"])
    except Unauthenticated as error:
        raise Forbidden(f"{context.url}: the API does not accept this key") from error
    except Forbidden:  # the key is valid, but its scopes do not include `read`
        return "the owner of this key"
