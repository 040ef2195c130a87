"""The normal form of an alert, and the states of what did not become one.

The fields correspond to OCSF 1.8 Detection Finding (2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, StringConstraints

from orchestrator.domain.errors import Conflict
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Observable


class Severity(IntEnum):
    """OCSF `severity_id`."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5
    FATAL = 6


class AlertClass(StrEnum):
    """The classes that the shipped parsers assign."""

    C2_BEACON = "c2_beacon"
    BRUTE_FORCE = "brute_force"
    MALWARE = "malware"
    ACCOUNT_COMPROMISE = "account_compromise"
    PHISHING = "phishing"
    EXFILTRATION = "exfiltration"
    SCAN = "scan"
    POLICY_VIOLATION = "policy_violation"
    OTHER = "other"


class Host(Frozen):
    """OCSF `device`, a local machine.

    `kind`, `critical` and `tags` are from the asset inventory only.
    """

    id: str | None = None
    name: str | None = None
    address: str | None = None
    kind: str = "unknown"
    critical: bool = False
    tags: tuple[str, ...] = ()


class UserAccount(Frozen):
    """OCSF `actor.user`. `critical` and `tags` are from the asset inventory only."""

    name: str | None = None
    domain: str | None = None
    email: str | None = None
    critical: bool = False
    tags: tuple[str, ...] = ()


class Endpoint(Frozen):
    """OCSF `src_endpoint` or `dst_endpoint`."""

    address: str | None = None
    domain: str | None = None
    port: int | None = None


class FileInfo(Frozen):
    """OCSF `file`."""

    name: str | None = None
    path: str | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None


class ProcessInfo(Frozen):
    """OCSF `process`."""

    name: str | None = None
    command_line: str | None = None
    pid: int | None = None


class RejectionReason(StrEnum):
    """Why a delivery, or a part of it, is not accepted."""

    TOO_LARGE = "too_large"  # over the limit, compressed or not: the body is not kept
    UNSUPPORTED = "unsupported"  # a content type or coding that is not read
    MALFORMED = "malformed"  # not the JSON, or the compressed data, that it claims to be
    UNREADABLE = "unreadable"  # JSON that is not what the source's product sends
    ITEMS = "items"  # single items of a batch; the others were accepted


class RejectionState(StrEnum):
    """The life of a rejected delivery."""

    KEPT = "kept"
    REPLAYED = "replayed"

    def replay(self) -> RejectionState:
        """Return the state after a complete replay. Raise Conflict when that was done already."""
        if self is RejectionState.REPLAYED:
            raise Conflict("the delivery was replayed already; its alerts are stored")
        return RejectionState.REPLAYED


class OmissionReason(StrEnum):
    """Why something of a payload is not in the alert, or only in part."""

    UNREADABLE = "unreadable"  # the value is not of the field's type
    PLACEHOLDER = "placeholder"  # a word such as `unknown`, read as no value
    LIMIT = "limit"  # more values than an alert keeps
    AMBIGUOUS = "ambiguous"  # several values where one is expected: the first counts


class Omission(Frozen):
    """Something that the payload holds and the alert leaves out."""

    field: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """The JSON path in the payload, or the field of the alert."""
    reason: OmissionReason
    message: Annotated[str, StringConstraints(min_length=1, max_length=512)]

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class Alert(Frozen):
    """One alert. Comments name the OCSF attributes."""

    dedup_key: Annotated[str, StringConstraints(min_length=1, max_length=512)]  # finding_info.uid
    title: Annotated[str, StringConstraints(min_length=1, max_length=1024)]  # finding_info.title
    severity: Severity  # severity_id
    alert_class: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] = "other"
    rule: str | None = None  # finding_info.analytic.uid
    time: AwareDatetime  # finding_info.created_time, UTC
    techniques: tuple[str, ...] = ()  # finding_info.attacks[].technique.uid, such as T1071.001
    # The principal host, user, endpoints and objects; `observables` has all of them.
    host: Host | None = None
    user: UserAccount | None = None
    remote: Endpoint | None = None
    local: Endpoint | None = None
    file: FileInfo | None = None
    process: ProcessInfo | None = None
    url: str | None = None
    observables: tuple[Observable, ...] = ()
    resolved: bool = False  # the product reports that it is over (status_id 4)
    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """What an alert and the report of its end share; the dedup key where it is None."""
    incomplete: tuple[Omission, ...] = ()
    """What the payload holds and this alert leaves out."""


def alert_view(
    alert: Alert, *, alert_id: str, incident_id: str, source: str, product: str, raw_sha256: str
) -> dict[str, Any]:
    """Return what a playbook reads as `alert`: every declared field, absent ones as null."""
    fields = alert.model_dump(mode="json", exclude={"alert_class"})
    return {
        **fields,
        "fingerprint": alert.fingerprint or alert.dedup_key,
        "id": alert_id,
        "incident_id": incident_id,
        "class": alert.alert_class,
        "severity_name": alert.severity.name.lower(),
        "source": source,
        "product": product,
        "raw_sha256": raw_sha256,
    }


def with_age(view: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return an alert with its age at a moment: the whole seconds since its own time, at least 0.

    `at`: when it was received, or when a run started; aware. A view without a time has no age.
    """
    time = view.get("time")
    if not isinstance(time, str):
        return dict(view)
    seconds = int((at - datetime.fromisoformat(time)).total_seconds())
    return {**view, "age": max(0, seconds)}
