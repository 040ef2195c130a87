"""Drafts that are given together: each may call the others, whatever their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import CompiledPlaybook, Resolve, compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid

Version = tuple[str, int]


class Draft(Protocol):
    """A playbook's text, with the name of its file in messages."""

    @property
    def file(self) -> str:
        """The name in messages."""

    @property
    def text(self) -> str:
        """The YAML."""


D = TypeVar("D", bound=Draft)


class CompiledDrafts(NamedTuple, Generic[D]):
    """Drafts that compile, each after those that it calls, and what is wrong with the others."""

    compiled: list[tuple[D, CompiledPlaybook]]
    invalid: list[tuple[D, PlaybookInvalid]]


def compile_together(
    drafts: Sequence[D], catalogue: Catalogue, published: Mapping[Version, Plan]
) -> CompiledDrafts[D]:
    """Compile drafts that may call each other and published versions.

    A published version is called as it was published, whatever a draft of the same version holds.
    """
    known = dict(published)
    compiled: list[tuple[D, CompiledPlaybook]] = []
    left = list(drafts)
    while True:
        invalid: list[tuple[D, PlaybookInvalid]] = []
        for draft in left:
            try:
                found = compile_playbook(draft.text, draft.file, catalogue, resolve_in(known))
            except PlaybookInvalid as error:
                invalid.append((draft, error))
                continue
            known.setdefault((found.plan.playbook, found.plan.version), found.plan)
            compiled.append((draft, found))
        if not invalid or len(invalid) == len(left):
            return CompiledDrafts(compiled, invalid)
        left = [draft for draft, _ in invalid]


def resolve_with(
    drafts: Sequence[Draft], catalogue: Catalogue, published: Mapping[Version, Plan]
) -> Resolve:
    """Return how a call finds its playbook: published, or among the drafts that compile."""
    known = dict(published)
    for _, found in compile_together(drafts, catalogue, published).compiled:
        known.setdefault((found.plan.playbook, found.plan.version), found.plan)
    return resolve_in(known)


def resolve_in(known: Mapping[Version, Plan]) -> Resolve:
    """Return how a call finds its playbook among known versions."""
    return lambda name, version: known.get((name, version))
