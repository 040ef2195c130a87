"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import Draft


class Finding(Frozen):
    """One thing that is unwise. `line` and `column` count from 1; `step` is None outside of steps."""

    file: str
    line: int
    column: int
    step: str | None
    rule: str
    message: str
    mend: str

    def __str__(self) -> str:
        step = f"step {self.step}: " if self.step else ""
        return f"{self.file}:{self.line}:{self.column}: {step}{self.message} [{self.rule}]; {self.mend}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says of a place. `key`: of the key there, rather than of its value."""

    path: Path
    message: str
    mend: str
    key: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `bad` is a playbook with this finding and no other, `good` the same one mended."""

    id: str
    sentence: str
    why: str
    bad: str
    good: str
    check: Callable[[Draft], Iterator[Found]]

    def findings(self, draft: Draft) -> Iterator[Finding]:
        """What it finds in a playbook."""
        for found in self.check(draft):
            place = draft.document.at(found.path, key=found.key)
            yield Finding(
                file=draft.file,
                line=place.line,
                column=place.column,
                step=draft.report.step_at(found.path),
                rule=self.id,
                message=found.message,
                mend=found.mend,
            )
