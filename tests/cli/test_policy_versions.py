"""Earlier policies on the command line: compared with a draft, and put in force again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness.api_server import ApiServer
from tests.harness.commands import CommandOutcome, tocsin


def run(server: ApiServer, *arguments: object, **more: Any) -> CommandOutcome:
    return tocsin("policy", *arguments, "--url", server.url, TOCSIN_API_KEY=server.key, **more)


def test_draft_is_compared_published_and_rolled_back(server: ApiServer, tmp_path: Path) -> None:
    before = json.loads(run(server, "show", "--json").stdout)
    draft = tmp_path / "draft.yaml"
    draft.write_text(before["source"] + "# reviewed\n", "utf-8")
    compared = run(server, "diff", draft)
    assert (compared.returncode, compared.stdout.splitlines()[-1]) == (1, "+# reviewed")
    published = run(server, "publish", draft, "--json")
    version = json.loads(published.stdout)["version"]
    again = run(server, "diff", draft)
    assert (again.returncode, again.stdout) == (0, f"{version} and draft are the same\n")
    shown = run(server, "show", "--version", before["version"])
    assert shown.stdout == before["source"]
    stale = run(server, "roll-back", "--to", before["version"], "--over", before["version"])
    assert f"version {version} is in force" in stale.stderr
    back = run(server, "roll-back", "--to", before["version"], "--over", version)
    assert back.stdout == (
        f"policy version {version + 1} in force, with the text of {before['version']}\n"
    )
    listed = json.loads(run(server, "history", "--json").stdout)
    assert [each["in_force"] for each in listed[:2]] == [True, False]
    between = run(server, "diff", version, version + 1)
    assert "-# reviewed" in between.stdout.splitlines()


def test_lost_protection_is_confirmed_on_a_terminal(server: ApiServer, tmp_path: Path) -> None:
    before = json.loads(run(server, "show", "--json").stdout)
    guarded, bare = tmp_path / "guarded.yaml", tmp_path / "bare.yaml"
    guarded.write_text("protect: {hosts: [vault-01]}\n", "utf-8")
    bare.write_text("protect: {}\n", "utf-8")
    run(server, "publish", guarded, typed="y\n")
    refused = run(server, "publish", bare, typed="n\n")
    assert refused.returncode == 1
    assert "vault-01 is no longer protected" in refused.stderr
    assert "all the same? [y/N]" in refused.stderr
    assert run(server, "show").stdout == guarded.read_text("utf-8")
    back = run(server, "roll-back", "--to", before["version"], typed="n\n")
    assert (back.returncode, run(server, "show").stdout) == (1, guarded.read_text("utf-8"))
    for agreed in ({"typed": "y\n"}, {}):  # a script is not asked
        assert run(server, "publish", bare, **agreed).returncode == 0
        assert run(server, "show").stdout == bare.read_text("utf-8")
        assert run(server, "publish", guarded, "--yes", typed="").returncode == 0
    assert run(server, "roll-back", "--to", before["version"], "--yes").returncode == 0
