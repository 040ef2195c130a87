"""The API process opens no connection: it asks a worker, so credentials are in clear only there."""

from __future__ import annotations

import subprocess
import sys

import grimp
import pytest

OPENERS = ("orchestrator.connections.open", "connectors.sdk.open")
"""The only modules that turn a saved or new credential into an open connector."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("api", "orchestrator", "connectors", "playbooks")


@pytest.mark.parametrize("opener", OPENERS)
def test_nothing_that_the_api_imports_reaches_an_opener(
    graph: grimp.ImportGraph, opener: str
) -> None:
    chains = graph.find_shortest_chains("api", opener)
    assert [" -> ".join(chain) for chain in sorted(chains)] == []


def test_only_worker_side_modules_call_the_constructor_of_a_connector(
    graph: grimp.ImportGraph,
) -> None:
    importers = graph.find_modules_that_directly_import("connectors.sdk.open")
    product = {name for name in importers if not name.startswith("connectors.")}
    assert product == {"orchestrator.connections.open", "orchestrator.connections.check"}


def test_loading_the_api_loads_no_opener() -> None:
    script = f"import sys, api.app; print([name for name in {OPENERS!r} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert loaded.stdout.strip() == "[]"
