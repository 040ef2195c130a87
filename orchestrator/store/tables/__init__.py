"""The tables: what is kept of alerts, runs, containments, approvals, configuration and the audit trail.

Importing this registers every table with `SQLModel.metadata`, from which migrations and tests take the schema.
"""

from __future__ import annotations

from orchestrator.store.tables.access import KeyRow
from orchestrator.store.tables.alerts import AlertRow, IncidentRow, ReplayRow
from orchestrator.store.tables.approvals import AnswerRow, ApprovalRow
from orchestrator.store.tables.audit import AuditBatchRow, AuditEventRow, AuditSealRow
from orchestrator.store.tables.columns import UtcDateTime
from orchestrator.store.tables.configuration import AssetRow, ConnectionRow, OwnRow, SourceRow
from orchestrator.store.tables.containments import ContainmentRow, EffectRow, LeaseRow
from orchestrator.store.tables.notifications import ContactRow, NotificationRow, TaskRow
from orchestrator.store.tables.playbooks import PlaybookRow, SignatureRow, SigningKeyRow
from orchestrator.store.tables.policy import BreakerRow, KillSwitchRow, PolicyRow
from orchestrator.store.tables.runs import RunKeyRow, RunRow, StepRow

__all__ = [
    "AlertRow",
    "AnswerRow",
    "ApprovalRow",
    "AssetRow",
    "AuditBatchRow",
    "AuditEventRow",
    "AuditSealRow",
    "BreakerRow",
    "ConnectionRow",
    "ContactRow",
    "ContainmentRow",
    "EffectRow",
    "IncidentRow",
    "KeyRow",
    "KillSwitchRow",
    "LeaseRow",
    "TaskRow",
    "NotificationRow",
    "OwnRow",
    "PlaybookRow",
    "PolicyRow",
    "ReplayRow",
    "RunKeyRow",
    "RunRow",
    "SignatureRow",
    "SigningKeyRow",
    "SourceRow",
    "StepRow",
    "UtcDateTime",
]
