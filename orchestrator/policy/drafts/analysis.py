"""Drafts of policies in the sandbox: parsed, linted, and run against their test cases."""

from __future__ import annotations

from orchestrator.playbook.catalogue import Catalogue
from orchestrator.policy.document import Policy
from orchestrator.policy.drafts.tasks import READ, TEST, PolicyDraft, ReadPolicy, TestedPolicyDraft
from orchestrator.policy.tests import CaseResult
from orchestrator.runtime import Runtime

__all__ = ["ReadPolicy", "lint_draft", "read_draft", "run_draft_cases"]


async def read_draft(rt: Runtime, text: str, file: str = "policy.yaml") -> Policy:
    """Return the policy of a text. Raise Invalid with line and column, and as `Sandbox.run`."""
    return (await rt.sandbox.run(READ, PolicyDraft(text=text, file=file))).policy


async def lint_draft(rt: Runtime, text: str, file: str, tags: set[str]) -> ReadPolicy:
    """Return the policy of a text with warnings, given the tags of the inventory. Raise Invalid."""
    return await rt.sandbox.run(READ, PolicyDraft(text=text, file=file, tags=tuple(sorted(tags))))


async def run_draft_cases(
    rt: Runtime, text: str, tests: str, tests_file: str, catalogue: Catalogue
) -> tuple[CaseResult, ...]:
    """Run the test cases of a policy. Raise Invalid if either text cannot be read."""
    draft = TestedPolicyDraft(text=text, tests=tests, tests_file=tests_file, catalogue=catalogue)
    return await rt.sandbox.run(TEST, draft)
