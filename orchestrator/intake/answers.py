"""What the webhook answers: the alerts of a delivery, what they start, and what was not read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from orchestrator.domain.alert import Omission
from orchestrator.domain.model import Frozen
from orchestrator.intake.batch import RejectedItem

_COVER: dict[str, JsonValue] = {
    "playbook": "c2-beacon-containment",
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "key": "ws-042 198.51.100.7",
    "expires_at": "2026-01-01T16:00:00Z",
}
_IDS: dict[str, JsonValue] = {
    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "duplicate": False,
    "matched": ["c2-beacon-containment"],
    "run_ids": ["run_019a8c7d21f04b6c1e2f3a4b5c6d"],
    "deferred_run_ids": [],
    "covered_by": [],
}


class Cover(Frozen):
    """An earlier run that stands for the one that an alert would have started."""

    model_config = ConfigDict(json_schema_extra={"example": _COVER})

    playbook: str
    run_id: str
    key: Annotated[str, Field(description="The value of `once_per` that both alerts have.")]
    expires_at: Annotated[
        datetime,
        Field(
            description="When the playbook's `within` ends. A run that achieved nothing covers "
            "no longer than until its own end."
        ),
    ]


class AcceptedAlert(Frozen):
    """One committed alert of a request."""

    model_config = ConfigDict(json_schema_extra={"example": {**_IDS, "incomplete": []}})

    alert_id: str
    incident_id: str
    duplicate: Annotated[bool, Field(description="Whether the source has sent it before.")]
    matched: Annotated[
        tuple[str, ...],
        Field(
            description="The playbooks whose trigger matches. Duplicates and reports of an end "
            "are not matched."
        ),
    ] = ()
    run_ids: Annotated[tuple[str, ...], Field(description="The runs that this alert starts.")] = ()
    deferred_run_ids: Annotated[
        tuple[str, ...],
        Field(
            description="The runs that do not begin yet, because too many of the source are open. "
            "Each begins once another has ended."
        ),
    ] = ()
    covered_by: Annotated[
        tuple[Cover, ...],
        Field(description="The runs that cover the matched playbooks that do not start."),
    ] = ()
    incomplete: Annotated[
        tuple[Omission, ...],
        Field(description="What the payload holds and the alert leaves out."),
    ] = ()


class Accepted(Frozen):
    """The committed alerts of a request. The ids at the top are those of its first alert."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {**_IDS, "alerts": [{**_IDS, "incomplete": []}], "rejected": []}
        }
    )

    alert_id: str
    incident_id: str
    duplicate: Annotated[
        bool,
        Field(description="Whether every alert has been sent before; then the status is 200."),
    ]
    alerts: Annotated[tuple[AcceptedAlert, ...], Field(min_length=1)]
    matched: Annotated[
        tuple[str, ...],
        Field(description="The playbooks whose trigger matches one of the alerts."),
    ] = ()
    run_ids: Annotated[tuple[str, ...], Field(description="The runs that these alerts start.")]
    deferred_run_ids: Annotated[
        tuple[str, ...],
        Field(description="The runs that do not begin yet."),
    ] = ()
    covered_by: Annotated[
        tuple[Cover, ...], Field(description="The runs that cover what does not start.")
    ] = ()
    rejected: Annotated[
        tuple[RejectedItem, ...],
        Field(
            description="Items that could not be read. They are kept: "
            "`GET /v1/sources/{source}/rejected`."
        ),
    ] = ()

    @classmethod
    def of(cls, alerts: tuple[AcceptedAlert, ...], rejected: tuple[RejectedItem, ...]) -> Accepted:
        """Return the answer for these alerts, at least one."""
        first = alerts[0]
        return cls(
            alert_id=first.alert_id,
            incident_id=first.incident_id,
            duplicate=all(alert.duplicate for alert in alerts),
            alerts=alerts,
            matched=tuple(dict.fromkeys(name for alert in alerts for name in alert.matched)),
            run_ids=tuple(run_id for alert in alerts for run_id in alert.run_ids),
            deferred_run_ids=tuple(id_ for alert in alerts for id_ in alert.deferred_run_ids),
            covered_by=tuple(cover for alert in alerts for cover in alert.covered_by),
            rejected=rejected,
        )


def new_incidents(accepted: Accepted) -> list[str]:
    """Return the incidents that new alerts joined, whose waiting runs are to be woken."""
    return [alert.incident_id for alert in accepted.alerts if not alert.duplicate]


class Ignored(Frozen):
    """A request without an alert, such as a flow record or a heartbeat. Nothing of it is stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"ignored": "suricata: event_type 'flow' is telemetry, not an alert"}
        }
    )

    ignored: Annotated[str, Field(description="What the request holds instead of an alert.")]
