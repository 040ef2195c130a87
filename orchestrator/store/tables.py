"""The tables: what is kept of alerts, runs, containments, approvals, configuration and the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Index, LargeBinary, Text, TypeDecorator, UniqueConstraint
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, on both databases; SQLite has no time zone of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a naive time cannot be stored: {value!r}"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SourceRow(SQLModel, table=True):
    """Where alerts come from."""

    __tablename__ = "sources"
    name: str = Field(primary_key=True)
    product: str
    scheme: str
    secret: bytes = Field(sa_type=LargeBinary)  # sealed
    options: dict[str, Any] = Field(sa_type=JSON, default={})
    mapping: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    correlate_by: str = "host"
    correlate_within: int = 3600  # seconds
    mode: str = "live"  # dry_run: its alerts start runs that only look
    created_at: datetime = Field(sa_type=UtcDateTime)


class ReplayRow(SQLModel, table=True):
    """A message id that was seen, so that it is refused when it is sent again."""

    __tablename__ = "replays"
    source: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    sent: int  # seconds since 1970, as signed
    body_sha256: str  # the sender's own retry has the same body, and is answered as before
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)


class IncidentRow(SQLModel, table=True):
    """Related alerts."""

    __tablename__ = "incidents"
    id: str = Field(primary_key=True)
    correlation_key: str = Field(index=True)
    title: str
    severity: int
    status: str = "open"
    alerts: int = 1
    opened_at: datetime = Field(sa_type=UtcDateTime)
    last_alert_at: datetime = Field(sa_type=UtcDateTime)


class AlertRow(SQLModel, table=True):
    """One alert: what came, byte for byte, and its normal form."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("source", "dedup_key"),)
    id: str = Field(primary_key=True)
    source: str
    product: str
    dedup_key: str
    incident_id: str = Field(index=True)
    title: str
    severity: int
    alert_class: str
    view: dict[str, Any] = Field(sa_type=JSON)  # what playbooks see
    raw: bytes = Field(sa_type=LargeBinary)  # the body; empty where another alert of the same body has it
    raw_sha256: str = Field(index=True)  # of the body
    seen: int = 1
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)


class PlaybookRow(SQLModel, table=True):
    """A published version: never altered; `retired` only keeps new runs from starting."""

    __tablename__ = "playbook_versions"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    digest: str
    title: str
    owner: str
    plan: dict[str, Any] = Field(sa_type=JSON)
    source: str = Field(sa_type=Text)
    positions: dict[str, Any] = Field(sa_type=JSON, default={})
    published_at: datetime = Field(sa_type=UtcDateTime)
    published_by: str
    retired: bool = False
    stage: str = "live"  # live: the newest takes the next alert; shadow: runs dry beside it
    tests: str | None = Field(default=None, sa_type=Text)  # its tests.yaml, as it was when it was published
    files: dict[str, str] = Field(sa_type=JSON, default={})  # the files that its tests name, base64
    report: dict[str, Any] | None = Field(sa_type=JSON, default=None)  # what checks, tests and coverage said of it


class SigningKeyRow(SQLModel, table=True):
    """A person's public key, by which their signatures under playbook versions are believed."""

    __tablename__ = "signing_keys"
    fingerprint: str = Field(primary_key=True)
    person: str = Field(index=True)
    public_key: str  # base64 of the 32 bytes
    added_by: str
    added_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SignatureRow(SQLModel, table=True):
    """A signature under a published version: its author's, or of one who has reviewed it."""

    __tablename__ = "version_signatures"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    role: str = Field(primary_key=True)  # author, reviewer
    person: str = Field(primary_key=True)
    fingerprint: str
    digest: str  # of the plan that was signed
    signature: str
    at: datetime = Field(sa_type=UtcDateTime)


class RunRow(SQLModel, table=True):
    """One run of a playbook version."""

    __tablename__ = "runs"
    id: str = Field(primary_key=True)
    playbook: str = Field(index=True)
    version: int
    plan_digest: str
    incident_id: str | None = Field(default=None, index=True)
    alert_id: str | None = Field(default=None, index=True)
    source: str | None = None
    severity: int = 0
    status: str = Field(index=True)
    mode: str = "live"
    attempt: int = 1
    once_key: str | None = None
    inputs: dict[str, Any] = Field(sa_type=JSON, default={})
    started_by: str
    shadow_of: str | None = Field(default=None, index=True)  # the live run beside which this one runs dry
    dispatched: bool = Field(default=False, index=True)  # whether Temporal has it
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RunKeyRow(SQLModel, table=True):
    """`once_per`: the newest run for a playbook and key."""

    __tablename__ = "run_keys"
    playbook: str = Field(primary_key=True)
    once_key: str = Field(primary_key=True)
    run_id: str
    at: datetime = Field(sa_type=UtcDateTime)


class StepRow(SQLModel, table=True):
    """How a step of a run went. `path` is unique in the run: `contain/block`, `each[3]/block`."""

    __tablename__ = "steps"
    run_id: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    kind: str
    state: str
    seq: int
    connection: str | None = None
    action: str | None = None
    inputs: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    inputs_digest: str | None = Field(default=None, index=True)  # of connection, action and input, so that a read is found again
    receipt: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    planned: dict[str, Any] | None = Field(sa_type=JSON, default=None)  # of the change: effect, digest, for how many seconds
    judgement: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    asked: dict[str, Any] | None = Field(sa_type=JSON, default=None)  # who is, or would be, asked: question, by, quorum, reasons
    result: Any = Field(sa_type=JSON, default=None)
    error: str | None = Field(default=None, sa_type=Text)
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class EffectRow(SQLModel, table=True):
    """An intent and what became of it: written before the vendor is called."""

    __tablename__ = "effects"
    __table_args__ = (
        Index("ix_effects_run", "run_id", "seq"),
        Index("ix_effects_containment", "containment_key"),
        Index("ix_effects_source", "source", "intended_at"),
    )
    id: str = Field(primary_key=True)  # run, path, attempt
    run_id: str
    path: str
    seq: int
    playbook: str
    source: str | None = None
    connection: str = Field(index=True)
    connector: str
    action: str
    effect: str
    target_type: str
    target_value: str
    containment_key: str
    change: dict[str, Any] = Field(sa_type=JSON)
    change_digest: str
    output: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    state: str  # intended, applied, verified, failed, undone
    approval_id: str | None = None
    intended_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ContainmentRow(SQLModel, table=True):
    """A containment that runs share; the row that serializes all that is done to its target."""

    __tablename__ = "containments"
    key: str = Field(primary_key=True)
    connection: str
    action: str
    target_type: str
    target_value: str
    state: str  # held, lifting, lifted, stuck
    ours: bool = False  # whether we changed the device
    effect_id: str | None = None  # the effect whose receipt takes it back
    since: datetime = Field(sa_type=UtcDateTime)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    verified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Text)
    drift: str | None = None  # gone: the device does not show it any more, and it was not made again
    failures: int = 0  # releases in a row that did not come off
    retry_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # when a stuck release is tried again
    escalated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LeaseRow(SQLModel, table=True):
    """One run's hold on a containment. `until` None: until it is released by hand or rolled back."""

    __tablename__ = "leases"
    id: str = Field(primary_key=True)  # run, path
    containment_key: str = Field(index=True)
    run_id: str = Field(index=True)
    path: str
    until: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    state: str = "live"  # live, ended
    reason: str | None = None  # why it ended
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApprovalRow(SQLModel, table=True):
    """A question to people about exact changes, or (kind `form`) for an answer."""

    __tablename__ = "approvals"
    id: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    workflow_id: str  # which workflow waits for the answer
    delivered: bool = False  # whether that workflow has it
    path: str
    kind: str  # change, form
    question: str = Field(sa_type=Text)
    changes: list[dict[str, Any]] = Field(sa_type=JSON, default=[])
    form: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    digest: str
    by_group: str | None = None
    quorum: int = 1
    state: str = Field(index=True)  # pending, approved, declined, expired, withdrawn, void
    reasons: list[str] = Field(sa_type=JSON, default=[])
    escalated: bool = False
    level: int = 0  # how far up the chain: 0 asks those who were named first
    asked_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replaced_by: str | None = None  # the approval that asks anew, of one that is void
    reminders: int = 0
    remind_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    glass_broken_by: str | None = None  # an admin who decided alone
    glass_reason: str | None = Field(default=None, sa_type=Text)
    review: str | None = Field(default=None, index=True)  # pending, accepted, objected: what somebody else says of it afterwards
    reviewed_by: str | None = None
    reviewed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    review_comment: str = Field(default="", sa_type=Text)


class AnswerRow(SQLModel, table=True):
    """One person's answer to one approval; a second is refused by the key."""

    __tablename__ = "approval_answers"
    approval_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    key_id: str
    decision: str
    comment: str = Field(default="", sa_type=Text)
    form: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    via: str = "api"  # api, email, slack
    at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ContactRow(SQLModel, table=True):
    """How a person is reached; what they may do is said by their API keys."""

    __tablename__ = "contacts"
    person: str = Field(primary_key=True)
    email: str | None = None
    slack_user: str | None = Field(default=None, index=True)
    saved_at: datetime = Field(sa_type=UtcDateTime)


class NoticeRow(SQLModel, table=True):
    """A message to a person about a question or a matter, and the one-time link in it; sent by the worker, tried until it is."""

    __tablename__ = "notices"
    id: str = Field(primary_key=True)
    about: str = Field(index=True)  # the id of an approval or of a matter
    person: str
    channel: str  # email, slack
    kind: str  # asked, reminder, escalated, closed, matter
    state: str = Field(default="waiting", index=True)  # waiting, sent, failed, void
    token_hash: str | None = Field(default=None, unique=True)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    next_at: datetime = Field(sa_type=UtcDateTime)
    external_id: str | None = None  # by which the channel knows the message
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MatterRow(SQLModel, table=True):
    """Something that needs a person: a release that does not come off, drift, a tripped breaker, a broken glass."""

    __tablename__ = "matters"
    id: str = Field(primary_key=True)
    kind: str
    subject: str = Field(index=True)
    summary: str = Field(sa_type=Text)
    to_group: str | None = None
    state: str = Field(default="open", index=True)  # open, closed
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_by: str | None = None
    comment: str = Field(default="", sa_type=Text)


class ConnectionRow(SQLModel, table=True):
    """A name that playbooks use, bound to a connector and its settings."""

    __tablename__ = "connections"
    name: str = Field(primary_key=True)
    connector: str
    capability: str
    settings: dict[str, Any] = Field(sa_type=JSON)
    secrets: bytes = Field(sa_type=LargeBinary)  # sealed JSON object
    revision: int = 1
    saved_at: datetime = Field(sa_type=UtcDateTime)


class PolicyRow(SQLModel, table=True):
    """A published policy; the newest is in force."""

    __tablename__ = "policies"
    version: int = Field(primary_key=True)
    digest: str
    document: dict[str, Any] = Field(sa_type=JSON)
    source: str = Field(sa_type=Text)
    published_at: datetime = Field(sa_type=UtcDateTime)
    published_by: str


class KillSwitchRow(SQLModel, table=True):
    """An engaged kill switch: scope `global`, `connection`, `playbook` or `source`."""

    __tablename__ = "kill_switches"
    scope: str = Field(primary_key=True)
    name: str = Field(primary_key=True, default="*")
    reason: str
    engaged_by: str
    engaged_at: datetime = Field(sa_type=UtcDateTime)
    stop_releases: bool = False


class BreakerRow(SQLModel, table=True):
    """A source that asked for many more containments than it used to: people are asked about each, until somebody resets it."""

    __tablename__ = "breakers"
    source: str = Field(primary_key=True)
    reason: str = Field(sa_type=Text)
    tripped_at: datetime = Field(sa_type=UtcDateTime)
    reset_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # from here on it is counted anew


class OwnRow(SQLModel, table=True):
    """What Tocsin itself stands on, as each process found it: protected without being listed."""

    __tablename__ = "own_infrastructure"
    node: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    why: str
    seen_at: datetime = Field(sa_type=UtcDateTime)


class AssetRow(SQLModel, table=True):
    """What we know of our own things; the only place where `critical` and `kind` come from."""

    __tablename__ = "assets"
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    short: str = Field(default="", index=True)  # a host's name without its domain, a user's without theirs
    kind: str = "unknown"
    critical: bool = False
    tags: list[str] = Field(sa_type=JSON, default=[])


class KeyRow(SQLModel, table=True):
    """An API key; the token itself is not kept."""

    __tablename__ = "api_keys"
    id: str = Field(primary_key=True)
    hash: str
    person: str
    roles: list[str] = Field(sa_type=JSON)
    groups: list[str] = Field(sa_type=JSON, default=[])
    scopes: list[str] | None = Field(sa_type=JSON, default=None)
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AuditEventRow(SQLModel, table=True):
    """One event of the trail; `seq` and `leaf` are written once, by the sealer."""

    __tablename__ = "audit_events"
    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    kind: str = Field(index=True)
    time: str  # the canonical form that is hashed
    actor: str
    subject: str = Field(index=True)
    data: dict[str, Any] = Field(sa_type=JSON)


class AuditSealRow(SQLModel, table=True):
    """Which place in the chain an event has."""

    __tablename__ = "audit_seals"
    seq: int = Field(primary_key=True)
    event_number: int = Field(unique=True)
    leaf: str


class AuditBatchRow(SQLModel, table=True):
    """One signed link of the chain."""

    __tablename__ = "audit_batches"
    number: int = Field(primary_key=True)
    first_seq: int
    last_seq: int
    record: dict[str, Any] = Field(sa_type=JSON)
