"""Decisions on the command line: shown first, then confirmed, then bound to what was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.cli.approvals.batch import decide_batch, is_batch
from orchestrator.cli.approvals.choice import Choice, agree, question, read_form
from orchestrator.cli.approvals.find import find_approval
from orchestrator.cli.approvals.render import outcome, render_approval
from orchestrator.cli.command import Answer
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.output import print_error
from orchestrator.domain.errors import Invalid, TocsinError


def decide_all(
    api: Api, names: Sequence[str], choice: Choice, digest: str | None, *, yes: bool
) -> Answer:
    """Decide approvals one by one, each shown and confirmed. Raise Invalid for a wrong mix.

    With several, one that is refused does not stop the others. A batch is shown and decided whole.
    """
    if digest is not None and any(map(is_batch, names)):
        raise Invalid("--digest is about one approval; give the id of one")
    if len(names) == 1 and is_batch(names[0]):
        return decide_batch(api, names[0], choice, yes=yes)
    if len(names) == 1:
        done = _decide(api, names[0], choice, digest, yes=yes)
        return Answer(done, outcome(done))
    if digest is not None or choice.changes or choice.fields is not None:
        raise Invalid("--digest, --change and --field are about one approval; give one ID")
    decided: list[dict[str, Any]] = []
    refused = 0
    for name in names:
        try:
            if is_batch(name):
                whole = decide_batch(api, name, choice, yes=yes).data
                decided += [item["approval"] for item in whole["items"] if item["approval"]]
                refused += whole["refused"]
            else:
                decided.append(_decide(api, name, choice, None, yes=yes))
        except TocsinError as error:
            refused += 1
            print_error(f"{name}: {error}")
    code = ExitCode.NEGATIVE if refused else ExitCode.DONE
    return Answer(decided, "\n".join(map(outcome, decided)), code)


def confirmed(api: Api, name: str, asked: str, digest: str | None, *, yes: bool) -> dict[str, Any]:
    """Show an approval, and return it once the person agreed. Raise Invalid if they did not.

    With a digest nothing is shown: the caller knows what it covers.
    """
    approval = find_approval(api, name)
    if digest is not None:
        return approval
    for line in render_approval(approval):
        print_error(line)
    script = f", or --digest D with the digest of `tocsin approval show {approval['id']}`"
    agree(asked, yes=yes, alternative=script)
    return approval


def _decide(
    api: Api, name: str, choice: Choice, digest: str | None, *, yes: bool
) -> dict[str, Any]:
    approval = confirmed(api, name, question(choice), digest, yes=yes)
    body: dict[str, Any] = {
        "decision": choice.decision,
        "digest": digest or approval["digest"],
        "comment": choice.comment,
    }
    if choice.changes:
        body["changes"] = choice.changes
    if choice.fields is not None:
        body["form"] = read_form(approval["form"] or {}, choice.fields)
    done: dict[str, Any] = api.post(f"/v1/approvals/{approval['id']}/decide", body)
    return done
