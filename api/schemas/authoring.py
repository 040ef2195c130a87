"""What is asked of a draft, and what is answered?"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas.request_model import Document, Version, Written, example
from orchestrator.playbook.diff.model import Change
from orchestrator.playbook.lint.finding import Finding


class Linted(BaseModel):
    """What is unwise about it; nothing, if it is good."""

    model_config = example(
        {
            "findings": [
                {
                    "file": "playbook.yaml",
                    "line": 9,
                    "column": 5,
                    "step": "block",
                    "rule": "contain-without-for",
                    "message": "firewall.block_address stays until somebody lifts it by hand",
                    "mend": "say how long it is needed: `for: 24h`",
                }
            ]
        }
    )

    findings: tuple[Finding, ...]


class Draft(Written):
    """A text that need not be published."""

    text: Document


class Published(Written):
    """A published version; without `version`, the newest that is not retired."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    version: Version | None = None


class Compare(Written):
    """What changed from `a` to `b`?"""

    model_config = example(
        {
            "a": {"name": "c2-beacon-containment", "version": 3},
            "b": {"text": "playbook: c2-beacon-containment\nversion: 4\n..."},
        }
    )

    a: Draft | Published
    b: Draft | Published


class Compared(BaseModel):
    """The changes, the most dangerous first: 4 does more or is asked less, 3 reaches further, 2 other, 1 safer, 0 words."""

    model_config = example(
        {
            "a": "c2-beacon-containment@3",
            "b": "c2-beacon-containment@4",
            "same": False,
            "changes": [
                {
                    "danger": 4,
                    "kind": "effect",
                    "step": "isolate",
                    "sentence": "can now isolate hosts (edr.isolate_host, step isolate)",
                }
            ],
            "markdown": "### `c2-beacon-containment@3` -> `c2-beacon-containment@4`\n...",
        }
    )

    a: str
    b: str
    same: bool
    changes: tuple[Change, ...]
    markdown: Annotated[str, Field(description="For a comment on a pull request.")]
