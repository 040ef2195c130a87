"""Checks of the running stack: Temporal, the API's readiness, and each connection's credential."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx

from orchestrator.cli.api_client import Api
from orchestrator.cli.diagnosis.machine import examine_port
from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.cli.stack import ports
from orchestrator.cli.stack.gateway import open_to_others
from orchestrator.cli.stack.ports import Listening
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.temporal.endpoint import api_key_of, open_client, tls_of
from orchestrator.settings import Settings

_SECONDS = 60.0  # the system behind a connection is asked


def examine_stack(settings: Settings) -> Iterator[Diagnosis]:
    """Yield what the stack on the data directory says; without one, whether it could start."""
    listening = ports.load_listening(settings.data_dir)
    running = listening is not None and ports.is_alive(listening.pid)
    reached = ports.with_stack_temporal(settings)
    yield _temporal(reached, required=running or not settings.temporal_bundled)
    if settings.temporal_bundled:
        yield _barrier(settings)
    if listening is None or not running:
        yield note("stack", "no stack runs on this data directory; `tocsin up` starts it")
        yield examine_port(settings)
        return
    ready = _api(settings, listening)
    yield ready
    for name, url in listening.metrics_urls.items():
        yield _metrics(settings, name, url)
    if ready.level == "good":
        yield from _connections(settings, listening)


def _temporal(settings: Settings, *, required: bool) -> Diagnosis:
    """Return whether Temporal answers, with the certificates and the API key of the settings."""
    address = settings.temporal_address
    if not required and not ports.is_open(address):
        return note("temporal", f"Temporal does not run at {address}; `tocsin up` starts it")
    try:
        asyncio.run(open_client(settings))
    except TocsinError as error:
        return wrong("temporal", str(error))
    return good("temporal", f"Temporal answers at {address}{_secured(settings)}")


def _barrier(settings: Settings) -> Diagnosis:
    """Return what keeps other users of this machine from the bundled Temporal server."""
    reason = open_to_others(ports.temporal_certificates(settings.data_dir).folder)
    if reason is not None:
        return wrong("temporal", reason)
    return good(
        "temporal",
        "the bundled Temporal runs in a network of its own, and wants the certificate of this "
        "data directory",
    )


def _secured(settings: Settings) -> str:
    tls = tls_of(settings)
    if tls is None:
        return ", without TLS"
    key = " and an API key" if api_key_of(settings) else ""
    return f", over TLS{' with a client certificate' if tls.client_cert else ''}{key}"


def _api(settings: Settings, listening: Listening) -> Diagnosis:
    """Return whether the API accepts alerts and their runs begin."""
    url = listening.api_url
    try:
        context = listening.trust.context()
        reply = httpx.get(f"{url}/readyz", timeout=10, trust_env=False, verify=context)
        ready = reply.json()
        status = str(ready["status"])
    except (httpx.HTTPError, TocsinError, ValueError, KeyError, TypeError) as error:
        return wrong(
            "api",
            f"the API does not answer at {url} ({error}); see {settings.data_dir}/logs/api.log",
        )
    parts = ", ".join(f"{name}: {value}" for name, value in ready.items())
    if status == "ok":
        return good("api", f"API at {url}: {parts}")
    return wrong("api", f"API at {url} is not ready ({parts}); see {settings.data_dir}/logs/")


def _metrics(settings: Settings, worker: str, url: str) -> Diagnosis:
    """Return whether a worker serves its metrics."""
    try:
        served = httpx.get(url, timeout=10, trust_env=False).is_success
    except httpx.HTTPError:
        served = False
    if served:
        return good("metrics", f"{worker} serves its metrics at {url}")
    return wrong(
        "metrics",
        f"{worker} does not serve its metrics at {url}; see {settings.data_dir}/logs/{worker}.log",
    )


def _connections(settings: Settings, listening: Listening) -> Iterator[Diagnosis]:
    """Yield whether each credential works, as the running stack finds."""
    try:
        key = settings.admin_key_path.read_text("ascii").strip()
        with Api(listening.api_url, key, listening.trust) as api:
            yield from _check_connections(api)
    except (OSError, TocsinError) as error:
        yield note("connections", f"connections were not checked ({error})")


def _check_connections(api: Api) -> Iterator[Diagnosis]:
    for view in api.items("/v1/connections"):
        name = f"connection {view['name']} ({view['connector']})"
        try:
            checked = api.post(f"/v1/connections/{view['name']}/check", seconds=_SECONDS)
        except TocsinError as error:
            yield wrong("connections", f"{name}: {error}; replace it with `tocsin connection add`")
        else:
            yield good("connections", f"{name}: {checked['answer']}")
