"""The tasks of drafts of policies, which the sandbox carries out: read, lint and test."""

from __future__ import annotations

from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.lint import lint_policy
from orchestrator.policy.tests import CaseResult, run_cases
from orchestrator.sandbox.task import SandboxTask


class PolicyDraft(Frozen):
    """A draft of a policy."""

    text: str
    file: str
    tags: tuple[str, ...] | None = None
    """Of the inventory, where the draft is linted."""


class ReadPolicy(Frozen):
    """A policy that could be read, with the warnings of its lint."""

    policy: Policy
    warnings: tuple[str, ...] = ()


class TestedPolicyDraft(Frozen):
    """A draft of a policy, with its test cases."""

    text: str
    tests: str
    tests_file: str
    catalogue: Catalogue


def _read(draft: PolicyDraft) -> ReadPolicy:
    policy = parse_policy(draft.text, draft.file)
    warnings = () if draft.tags is None else lint_policy(policy, draft.tags, draft.file)
    return ReadPolicy(policy=policy, warnings=warnings)


def _test(draft: TestedPolicyDraft) -> tuple[CaseResult, ...]:
    policy = parse_policy(draft.text)
    return run_cases(draft.tests, draft.tests_file, policy, draft.catalogue)


READ = SandboxTask(f"{__name__}:READ", _read, PolicyDraft, ReadPolicy)
TEST = SandboxTask(f"{__name__}:TEST", _test, TestedPolicyDraft, tuple[CaseResult, ...])
