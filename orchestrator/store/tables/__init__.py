"""The tables. Importing this package registers all of them with `SQLModel.metadata`."""

from __future__ import annotations

from orchestrator.store.tables.access import IdempotencyRow, IdentityRow, KeyRow, PersonRow
from orchestrator.store.tables.alerts import AlertRow, ReplayRow
from orchestrator.store.tables.approvals import ApprovalRow, DecisionRow
from orchestrator.store.tables.audit import (
    AuditBatchRow,
    AuditEventRow,
    AuditQuarantineRow,
    AuditSealRow,
    AuditSinkRow,
)
from orchestrator.store.tables.columns import UtcDateTime
from orchestrator.store.tables.configuration import (
    AssetNameRow,
    AssetRow,
    ConnectionRow,
    OwnRow,
    SourceRow,
)
from orchestrator.store.tables.containments import ContainmentRow, EffectRow, LeaseRow
from orchestrator.store.tables.incidents import IncidentRow, TaskRow
from orchestrator.store.tables.installation import InstallationRow
from orchestrator.store.tables.notifications import ContactRow, NotificationRow
from orchestrator.store.tables.observables import ObservableRow
from orchestrator.store.tables.playbooks import PlaybookRow, SignatureRow, SigningKeyRow
from orchestrator.store.tables.policy import BreakerRow, KillSwitchRow, PolicyRow
from orchestrator.store.tables.runs import RunKeyRow, RunRow, StepRow
from orchestrator.store.tables.sources import RejectedRow, SourceDayRow

__all__ = [
    "AlertRow",
    "ApprovalRow",
    "AssetNameRow",
    "AssetRow",
    "AuditBatchRow",
    "AuditEventRow",
    "AuditQuarantineRow",
    "AuditSealRow",
    "AuditSinkRow",
    "BreakerRow",
    "ConnectionRow",
    "ContactRow",
    "ContainmentRow",
    "DecisionRow",
    "EffectRow",
    "IdempotencyRow",
    "IdentityRow",
    "IncidentRow",
    "InstallationRow",
    "KeyRow",
    "KillSwitchRow",
    "LeaseRow",
    "NotificationRow",
    "ObservableRow",
    "OwnRow",
    "PersonRow",
    "PlaybookRow",
    "PolicyRow",
    "RejectedRow",
    "ReplayRow",
    "RunKeyRow",
    "RunRow",
    "SignatureRow",
    "SigningKeyRow",
    "SourceDayRow",
    "SourceRow",
    "StepRow",
    "TaskRow",
    "UtcDateTime",
]
