"""What is answered to an alert, and how do alerts and incidents look?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.schemas.request_model import example

_IDS = {
    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "duplicate": False,
}
_ALERT = {
    "id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "source": "suricata",
    "product": "suricata",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "title": "ET MALWARE Cobalt Strike Beacon",
    "severity": 5,
    "alert_class": "c2_beacon",
    "raw_sha256": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "seen": 1,
    "received_at": "2026-01-01T12:00:00Z",
    "last_seen_at": "2026-01-01T12:00:00Z",
}


class Taken(BaseModel):
    """One alert of a request that carried several."""

    alert_id: str
    incident_id: str
    duplicate: bool


class Accepted(BaseModel):
    """The alert is committed. With several in one request, the first one's ids stand on top."""

    model_config = example(
        {**_IDS, "alerts": [_IDS], "run_ids": ["run_019a8c7d21f04b6c1e2f3a4b5c6d"]}
    )

    alert_id: str
    incident_id: str
    duplicate: Annotated[
        bool, Field(description="True when all of it has been sent before; then the status is 200.")
    ]
    alerts: list[Taken]
    run_ids: Annotated[list[str], Field(description="The runs that this started.")]


class Ignored(BaseModel):
    """It was understood, and is no alert: a flow record, a heartbeat, a subscription notification. Nothing is kept."""

    model_config = example({"ignored": "a flow record of Suricata asks for nothing"})

    ignored: str


class AlertSummary(BaseModel):
    """An alert, without its observables."""

    model_config = example(_ALERT)

    id: str
    source: str
    product: str
    incident_id: str
    title: str
    severity: Annotated[int, Field(description="OCSF severity_id, 0 to 6.")]
    alert_class: str
    raw_sha256: str
    seen: Annotated[int, Field(description="How often it was sent.")]
    received_at: datetime
    last_seen_at: datetime


class AlertDetail(AlertSummary):
    """An alert with what playbooks see of it."""

    model_config = example(
        {**_ALERT, "alert": {"class": "c2_beacon", "remote": {"address": "198.51.100.7"}}}
    )

    alert: dict[str, Any]


class IncidentSummary(BaseModel):
    """Related alerts."""

    model_config = example(
        {
            "id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
            "title": "ET MALWARE Cobalt Strike Beacon",
            "severity": 5,
            "status": "open",
            "alerts": 2,
            "opened_at": "2026-01-01T12:00:00Z",
            "last_alert_at": "2026-01-01T12:10:00Z",
        }
    )

    id: str
    title: str
    severity: int
    status: str
    alerts: Annotated[int, Field(description="How many alerts it holds.")]
    opened_at: datetime
    last_alert_at: datetime
