"""`tocsin playbook`: write, test, publish and promote playbooks."""

from __future__ import annotations

from orchestrator.cli.command import noun
from orchestrator.cli.commands.author.playbook import (
    drafts,
    editor,
    lint,
    promotion,
    rehearse,
    versions,
)

app = noun("Write, test, publish and promote playbooks.")

editor.register(app)
drafts.register(app)
lint.register(app)
rehearse.register(app)
versions.register(app)
promotion.register(app)
