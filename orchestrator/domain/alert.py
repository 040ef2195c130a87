"""The alert in its normal form: small, our own, names one-to-one with OCSF 1.8 Detection Finding (2004)."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, StringConstraints

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
    """The classes that the shipped parsers give."""

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
    """OCSF `device`: the machine on our side. `kind`, `critical`, `tags` come from the asset inventory, never from the alert."""

    id: str | None = None
    name: str | None = None
    address: str | None = None
    kind: str = "unknown"
    critical: bool = False
    tags: tuple[str, ...] = ()


class UserAccount(Frozen):
    """OCSF `actor.user`. `critical` and `tags` come from the asset inventory."""

    name: str | None = None
    domain: str | None = None
    email: str | None = None
    critical: bool = False
    tags: tuple[str, ...] = ()


class Endpoint(Frozen):
    """OCSF `src_endpoint`/`dst_endpoint`, seen from us: `remote` is the other side, `local` ours."""

    address: str | None = None
    domain: str | None = None
    port: int | None = None


class FileSeen(Frozen):
    """OCSF `file`."""

    name: str | None = None
    path: str | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None


class ProcessSeen(Frozen):
    """OCSF `process`."""

    name: str | None = None
    command_line: str | None = None
    pid: int | None = None


class Alert(Frozen):
    """One alert. `alert_class` is ours (`c2_beacon`, `brute_force`, `malware`, `account_compromise`, ... or `other`).

    Times are aware, UTC. `host` ... `url` are the principal ones; `observables` are all of them.
    """

    dedup_key: Annotated[
        str, StringConstraints(min_length=1, max_length=512)
    ]  # OCSF finding_info.uid
    title: Annotated[str, StringConstraints(min_length=1, max_length=1024)]  # finding_info.title
    severity: Severity  # severity_id
    alert_class: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] = "other"
    rule: str | None = None  # finding_info.analytic.uid
    time: AwareDatetime  # finding_info.created_time
    techniques: tuple[str, ...] = ()  # finding_info.attacks[].technique.uid, such as T1071.001
    host: Host | None = None
    user: UserAccount | None = None
    remote: Endpoint | None = None
    local: Endpoint | None = None
    file: FileSeen | None = None
    process: ProcessSeen | None = None
    url: str | None = None
    observables: tuple[Observable, ...] = ()
    resolved: bool = False  # the product says that it is over (status_id 4)


def view(
    alert: Alert, *, alert_id: str, incident_id: str, source: str, product: str, raw_sha256: str
) -> dict[str, Any]:
    """What a playbook sees as `alert`: every declared field is there, absent ones as null; `class` is `alert_class`."""
    fields = alert.model_dump(mode="json", exclude={"alert_class"})
    return {
        **fields,
        "id": alert_id,
        "incident_id": incident_id,
        "class": alert.alert_class,
        "severity_name": alert.severity.name.lower(),
        "source": source,
        "product": product,
        "raw_sha256": raw_sha256,
    }
