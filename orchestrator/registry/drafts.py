"""Drafts that are given together: each may call the others, whatever their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import (
    AnalyzedPlaybook,
    CompiledPlaybook,
    Resolve,
    analyze_document,
    called_versions,
    read_document,
)
from orchestrator.playbook.language.yaml import Document
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


class DraftSet(Generic[D]):
    """Drafts that may call each other: each is read and compiled once, when it is first used.

    A published version is called as it was published, whatever a draft of the same version holds.
    """

    def __init__(
        self, drafts: Sequence[D], catalogue: Catalogue, published: Mapping[Version, Plan]
    ) -> None:
        self.drafts = tuple(drafts)
        self.catalogue = catalogue
        self._published = published
        self._documents: dict[int, Document | PlaybookInvalid] = {}
        self._analyzed: dict[int, AnalyzedPlaybook | PlaybookInvalid] = {}

    def analyze(self, position: int) -> AnalyzedPlaybook:
        """Compile the draft at a position. Raises PlaybookInvalid with every problem."""
        self._compile_with_calls(position)
        found = self._analyzed[position]
        if isinstance(found, PlaybookInvalid):
            raise found
        return found

    def resolve(self, name: str, version: int) -> Plan | None:
        """Return what a call finds: the published version, or the first draft that compiles."""
        if (plan := self._published.get((name, version))) is not None:
            return plan
        for position in self._drafts_of(name, version):
            self._compile_with_calls(position)
            if isinstance(found := self._analyzed[position], AnalyzedPlaybook):
                return found.compiled.plan
        return None

    def compiled(self) -> Iterator[tuple[D, CompiledPlaybook]]:
        """Yield the drafts that were compiled so far, each after those that it calls."""
        for position, found in self._analyzed.items():
            if isinstance(found, AnalyzedPlaybook):
                yield self.drafts[position], found.compiled

    def _compile_with_calls(self, position: int) -> None:
        """Compile a draft after those that it calls, without recursion: a client sends them."""
        if position in self._analyzed:
            return
        waiting = {position: self._calls(position)}  # each is called by the one before it
        while waiting:
            current, calls = next(reversed(waiting.items()))
            if (called := next(calls, None)) is None:
                self._analyzed[current] = self._compile(current)
                del waiting[current]
            elif called not in waiting and called not in self._analyzed:
                waiting[called] = self._calls(called)

    def _compile(self, position: int) -> AnalyzedPlaybook | PlaybookInvalid:
        draft, document = self.drafts[position], self._document(position)
        if isinstance(document, PlaybookInvalid):
            return document
        try:
            return analyze_document(
                document, draft.text, draft.file, self.catalogue, self._resolve_compiled
            )
        except PlaybookInvalid as error:
            return error

    def _resolve_compiled(self, name: str, version: int) -> Plan | None:
        """Return what a call finds; a draft that is still being compiled calls itself."""
        if (plan := self._published.get((name, version))) is not None:
            return plan
        for position in self._drafts_of(name, version):
            if isinstance(found := self._analyzed.get(position), AnalyzedPlaybook):
                return found.compiled.plan
        return None

    def _calls(self, position: int) -> Iterator[int]:
        document = self._document(position)
        if isinstance(document, PlaybookInvalid):
            return
        for name, version in called_versions(document):
            if (name, version) not in self._published:
                yield from self._drafts_of(name, version)

    def _drafts_of(self, name: str, version: int) -> Iterator[int]:
        """Yield the drafts of a version. A text with a backslash may spell a name in another way.

        Only texts that may hold the name are read: reading costs most of a compilation.
        """
        for position, draft in enumerate(self.drafts):
            may_hold = name in draft.text or "\\" in draft.text
            if may_hold and self._version(position) == (name, version):
                yield position

    def _version(self, position: int) -> tuple[object, object] | None:
        document = self._document(position)
        if isinstance(document, Document) and isinstance(data := document.data, dict):
            return data.get("playbook"), data.get("version")
        return None

    def _document(self, position: int) -> Document | PlaybookInvalid:
        if (found := self._documents.get(position)) is None:
            draft = self.drafts[position]
            try:
                found = read_document(draft.text, draft.file)
            except PlaybookInvalid as error:
                found = error
            self._documents[position] = found
        return found


class CompiledDrafts(NamedTuple, Generic[D]):
    """Drafts that compile, each after those that it calls, and what is wrong with the others."""

    compiled: list[tuple[D, CompiledPlaybook]]
    invalid: list[tuple[D, PlaybookInvalid]]


def compile_together(
    drafts: Sequence[D], catalogue: Catalogue, published: Mapping[Version, Plan]
) -> CompiledDrafts[D]:
    """Compile drafts that may call each other and published versions."""
    together = DraftSet(drafts, catalogue, published)
    invalid: list[tuple[D, PlaybookInvalid]] = []
    for position, draft in enumerate(together.drafts):
        try:
            together.analyze(position)
        except PlaybookInvalid as error:
            invalid.append((draft, error))
    return CompiledDrafts(list(together.compiled()), invalid)


def resolve_with(
    drafts: Sequence[Draft], catalogue: Catalogue, published: Mapping[Version, Plan]
) -> Resolve:
    """Return how a call finds its playbook: published, or among the drafts that compile."""
    return DraftSet(drafts, catalogue, published).resolve
