"""Drafts that are given together know each other; what is published never changes, tests included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.authoring.checks import check_draft
from orchestrator.domain.errors import Conflict
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry.analysis import lint_draft
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
