"""Many runs and containments on the command line: shown, confirmed, then changed as shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runtime import open_runtime
from tests.api.test_bulk import contained, lease, run_row
from tests.harness.api_server import ApiServer, api_server
from tests.harness.commands import CommandOutcome, tocsin

NAMES = [f"run_01{number:02}{'ab' * 14}" for number in range(3)]
KEYS = [f"{number:02}{'cd' * 15}" for number in range(3)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """An API with three runs that were rolled back, each of which holds a containment."""
    with api_server(tmp_path / "data") as running:

        async def add() -> None:
            rt = open_runtime(running.settings)
            try:
                async with rt.store.write() as session:
                    session.add_all([run_row(name) for name in NAMES])
                    session.add_all([contained(key) for key in KEYS])
                    await session.flush()
                    session.add_all(
                        [lease(key, name) for key, name in zip(KEYS, NAMES, strict=True)]
                    )
            finally:
                await rt.close()

        asyncio.run(add())
        yield running


def run(server: ApiServer, *arguments: object, **more: Any) -> CommandOutcome:
    return tocsin(*arguments, "--url", server.url, TOCSIN_API_KEY=server.key, **more)


def statuses(server: ApiServer) -> list[str]:
    found = json.loads(run(server, "run", "list", "--json").stdout)
    return [item["status"] for item in sorted(found, key=lambda item: str(item["id"]))]


def ended(server: ApiServer) -> set[str]:
    """Return the keys of containments whose leases end now."""
    found = json.loads(run(server, "containment", "list", "--json").stdout)
    return {item["id"] for item in found if all(each["ended_by"] for each in item["leases"])}


def test_runs_are_shown_and_retried_once_the_person_agrees(server: ApiServer) -> None:
    command = ("run", "retry", "--status", "rolled_back", "--playbook", "c2", "--error", "kill")
    kept = run(server, *command, typed="n\n")
    assert (kept.returncode, statuses(server)) == (1, ["rolled_back"] * 3)
    assert "Retry 3 runs? [y/N]" in kept.stderr
    assert "nothing was changed" in kept.stderr
    assert all(name[:16] in kept.stderr for name in NAMES)
    assert kept.stdout == ""
    done = run(server, *command, typed="y\n")
    assert (done.returncode, statuses(server)) == (0, ["running"] * 3), done.stderr
    assert "3 runs: retry requested" in done.stdout
    again = run(server, *command)
    assert (again.returncode, again.stdout) == (0, "no runs fit\n")


def test_without_a_terminal_many_are_changed_only_with_yes(server: ApiServer) -> None:
    for noun, verb in (("run", "retry"), ("containment", "release")):
        refused = run(server, noun, verb, "--playbook", "c2")
        assert refused.returncode == 1
        assert f"add --yes to {verb} the {noun}s that are shown" in refused.stderr
    assert (statuses(server), ended(server)) == (["rolled_back"] * 3, set())
    done = run(server, "run", "retry", "--playbook", "c2", "--since", "3660d", "--yes", "--json")
    assert [item["result"] for item in json.loads(done.stdout)["items"]] == ["retried"] * 3


def test_several_ids_may_be_short_and_a_refused_one_does_not_stop_the_others(
    server: ApiServer,
) -> None:
    one = run(server, "run", "retry", NAMES[0][:10])
    assert (one.returncode, one.stdout) == (0, f"run {NAMES[0]}: retry requested\n")
    done = run(server, "run", "retry", NAMES[0][:10], NAMES[1][:10], "--yes")
    assert done.returncode == 1
    assert f"{NAMES[0]}: run {NAMES[0]} is running; only" in done.stderr
    assert "1 runs: retry requested; 1 refused" in done.stdout
    assert statuses(server) == ["running", "running", "rolled_back"]


def test_containments_are_released_by_filter_key_or_lease(server: ApiServer) -> None:
    lease_alone = run(server, "containment", "release", f"{NAMES[0]}/{KEYS[0]}")
    assert "release requested" in lease_alone.stdout
    assert ended(server) == {KEYS[0]}
    two = ("containment", "release", KEYS[0][:8], KEYS[1][:8])
    done = run(server, *two, "--reason", "false positive", typed="y\n")
    assert "Release 2 containments? [y/N]" in done.stderr
    assert "198.51.100.7" in done.stderr
    assert (done.returncode, ended(server)) == (0, set(KEYS[:2])), done.stderr
    rest = run(server, "containment", "release", "--run", NAMES[2][:10], "--yes")
    assert (rest.returncode, ended(server)) == (0, set(KEYS)), rest.stderr


def test_unclear_choices_are_refused_with_the_fix(server: ApiServer) -> None:
    nothing = run(server, "run", "retry")
    assert "options that choose it, such as --since 2h" in nothing.stderr
    both = run(server, "run", "retry", NAMES[0], "--playbook", "c2", "--yes")
    assert "but not both" in both.stderr
    mixed = run(server, "containment", "release", KEYS[0], f"{NAMES[1]}/{KEYS[1]}", "--yes")
    assert "is a lease; release it in a command of its own" in mixed.stderr
    assert {done.returncode for done in (nothing, both, mixed)} == {1}
    assert (statuses(server), ended(server)) == (["rolled_back"] * 3, set())
