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
