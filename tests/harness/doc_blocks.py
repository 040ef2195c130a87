"""The fenced blocks of README.md and docs/: what each says it is, and where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
)
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """`kind`: all that stands behind the opening fence, such as `yaml playbook`."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """All of them, in order."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        name = page.relative_to(ROOT).as_posix()
        found += [
            Block(name, text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2])
            for match in _FENCE.finditer(text)
        ]
    return found


def of(*kinds: str) -> list[Block]:
    """Those of a kind; a kind is matched by its first words, so that `json alert` finds `json alert falco`."""
    return [
        block
        for block in blocks()
        if any(block.kind.split()[: len(kind.split())] == kind.split() for kind in kinds)
    ]
