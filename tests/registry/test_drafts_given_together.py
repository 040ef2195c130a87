"""Drafts that are given together know each other; what is published never changes, tests included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.authoring.checks import check_draft
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Conflict
from orchestrator.playbook.plan import CallPlaybook, Plan
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry.analysis import lint_draft
from orchestrator.registry.drafts import DraftSet, compile_together
from orchestrator.registry.publish import (
    PlaybookFiles,
    get_playbook,
    publish_playbook,
)
from orchestrator.registry.sync import FolderPlaybook
from orchestrator.registry.views import PublishOutcome
from orchestrator.runtime import Runtime
from tests.harness.databases import opened

CHILD = """\
playbook: lock-account
version: 2
title: Lock an account
owner: soc
inputs:
  account: {type: user}
steps:
  - {id: suspend, use: identity.suspend_user, with: {user: "${{ inputs.account }}"}, for: 8h}
"""
PARENT = """\
playbook: stolen-password
version: 1
title: A stolen password
owner: soc
inputs:
  account: {type: user}
steps:
  - {id: lock, call: lock-account@2, with: {account: "${{ inputs.account }}"}}
"""
GRANDPARENT = PARENT.replace("stolen-password", "phished").replace(
    "lock-account@2", "stolen-password@1"
)


def draft(text: str) -> FolderPlaybook:
    return FolderPlaybook(file=f"{text.split()[1]}/playbook.yaml", text=text)


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path / "data", None) as [runtime]:
        yield runtime


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_draft_calls_drafts_given_with_it_in_any_order(order: tuple[int, int]) -> None:
    given = [[draft(CHILD), draft(PARENT)][each] for each in order]
    checked = await check_draft(None, GRANDPARENT, "playbook.yaml", given)
    assert checked.calls == ("stolen-password@1", "lock-account@2")
    await lint_draft(None, GRANDPARENT, "playbook.yaml", given)


async def test_draft_that_is_not_given_is_unknown_and_the_error_says_what_to_do() -> None:
    with pytest.raises(PlaybookInvalid, match="name both playbooks in one command"):
        await check_draft(None, GRANDPARENT, "playbook.yaml", [draft(PARENT)])


def chain(length: int) -> list[FolderPlaybook]:
    """Return playbooks of which each calls the next."""
    texts = [
        CHILD.replace("lock-account", f"link-{each}").replace("version: 2", "version: 1")
        if each == length - 1
        else PARENT.replace("stolen-password", f"link-{each}").replace(
            "lock-account@2", f"link-{each + 1}@1"
        )
        for each in range(length)
    ]
    return [draft(text) for text in texts]


def called_plans(plan: Plan) -> list[Plan]:
    return [step.plan for step in plan.steps if isinstance(step, CallPlaybook)]


def test_drafts_checked_together_are_compiled_once() -> None:
    callers = [
        PARENT.replace("stolen-password", f"caller-{each}").replace("lock-account@2", "link-0@1")
        for each in range(3)
    ]
    drafts = [*map(draft, callers), *chain(4)]
    together = DraftSet(drafts, usual_catalogue(), {})
    plans = {
        plan.playbook: plan
        for plan in (together.analyze(each).compiled.plan for each in range(len(drafts)))
    }
    called = [each for plan in plans.values() for each in called_plans(plan)]
    assert len(called) == 6
    assert all(each is plans[each.playbook] for each in called)
    assert together.resolve("link-0", 1) is plans["link-0"]


def test_only_what_a_draft_calls_is_compiled_with_it() -> None:
    together = DraftSet([draft(PARENT), *chain(5), draft(CHILD)], usual_catalogue(), {})
    together.analyze(0)
    assert [each.text for each, _ in together.compiled()] == [CHILD, PARENT]


def test_drafts_that_call_each_other_are_both_refused() -> None:
    back = PARENT.replace("stolen-password", "phished").replace("lock-account@2", "ransom@1")
    forth = PARENT.replace("stolen-password", "ransom").replace("lock-account@2", "phished@1")
    found = compile_together([draft(back), draft(forth)], usual_catalogue(), {})
    assert not found.compiled
    assert [each.text for each, _ in found.invalid] == [back, forth]


def test_chain_of_calls_is_followed_to_any_length() -> None:
    found = compile_together(chain(400), usual_catalogue(), {})
    assert [each.text.split()[1] for each, _ in found.compiled][:2] == ["link-399", "link-398"]
    assert "nested more than" in str(found.invalid[0][1]) or "not published" in str(
        found.invalid[0][1]
    )


async def test_published_version_is_called_as_it_was_published(rt: Runtime) -> None:
    await publish_playbook(rt, CHILD, "playbook.yaml", actor="person:ann")
    other = CHILD.replace("account: {type: user}", "name: {type: user}").replace(
        "inputs.account", "inputs.name"
    )
    checked = await check_draft(rt, PARENT, "playbook.yaml", [draft(other)])
    assert checked.calls == ("lock-account@2",)


async def test_other_tests_of_a_published_version_are_refused(rt: Runtime) -> None:
    async def publish(tests: str | None, **files: str) -> PublishOutcome:
        given = PlaybookFiles(tests=tests, files=files) if tests is not None else None
        view = await publish_playbook(rt, CHILD, "x.yaml", actor="person:ann", files=given)
        return view.outcome

    assert await publish(None) is PublishOutcome.PUBLISHED
    assert await publish("cases: []") is PublishOutcome.TESTS_ADDED
    assert await publish("cases: []") is PublishOutcome.UNCHANGED
    assert await publish(None) is PublishOutcome.UNCHANGED
    with pytest.raises(Conflict, match=r"published with other tests.*raise `version`"):
        await publish("cases: [] # changed")
    with pytest.raises(Conflict, match="published with other tests"):
        await publish("cases: []", alert="e30=")
    assert (await get_playbook(rt, "lock-account")).tested
