"""Samples of alerts: stored ones of real products, and native ones written by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STORED = Path(__file__).parents[3] / "shared" / "alerts"


def stored(folder: str) -> list[Path]:
    """Return the stored samples of a product, sorted. Skip the test without them."""
    found = sorted((STORED / folder).glob("*.json"))
    if not found:
        pytest.skip(f"no stored samples of {folder}: {STORED} is missing")
    return found


def load(folder: str, name: str) -> Any:
    """Return one stored sample. Skip the test without it."""
    path = STORED / folder / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return json.loads(path.read_text("utf-8"))


EVE: dict[str, Any] = {
    "timestamp": "2026-11-24T11:58:02.123456+0000",
    "flow_id": 2090840609590725,
    "host": "sensor-1",
    "event_type": "alert",
    "src_ip": "10.4.2.17",
    "src_port": 51514,
    "dest_ip": "198.51.100.23",
    "dest_port": 80,
    "proto": "TCP",
    "tx_id": 0,
    "app_proto": "http",
    "direction": "to_server",
    "flow": {"src_ip": "10.4.2.17", "dest_ip": "198.51.100.23", "src_port": 51514, "dest_port": 80},
    "http": {
        "hostname": "Update.Evil.Example",
        "url": "/gate.php?id=1",
        "http_user_agent": "curl/8",
        "http_method": "POST",
    },
    "alert": {
        "action": "allowed",
        "gid": 1,
        "signature_id": 2027865,
        "rev": 3,
        "signature": "ET MALWARE Observed Cobalt Strike CnC Beacon",
        "category": "Malware Command and Control Activity Detected",
        "severity": 1,
        "metadata": {
            "mitre_technique_id": ["T1071"],
            "mitre_tactic_id": ["TA0011"],
            "attack_target": ["Client_Endpoint"],
        },
    },
}

WAZUH: dict[str, Any] = {
    "timestamp": "2026-11-24T11:59:01.201+0000",
    "rule": {
        "level": 10,
        "description": "sshd: brute force trying to get access to the system. Authentication failed.",
        "id": "5763",
        "mitre": {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]},
        "firedtimes": 1,
        "groups": ["syslog", "sshd", "authentication_failures"],
    },
    "agent": {"id": "017", "name": "Web-01", "ip": "10.4.2.80"},
    "manager": {"name": "wazuh-master"},
    "id": "1795521541.1032414",
    "full_log": "Nov 24 11:59:01 web-01 sshd[812]: Failed password for root from 203.0.113.9 port 40222 ssh2",
    "decoder": {"parent": "sshd", "name": "sshd"},
    "data": {"srcip": "203.0.113.9", "srcport": "40222", "dstuser": "root"},
    "location": "/var/log/auth.log",
}

ALERTMANAGER: dict[str, Any] = {
    "version": "4",
    "groupKey": '{}:{alertname="SSHBruteForce"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "soar",
    "groupLabels": {"alertname": "SSHBruteForce"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://am:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "SSHBruteForce",
                "instance": "10.4.2.80:9100",
                "severity": "critical",
                "src_ip": "203.0.113.9",
                "user": "root",
                "technique": "T1110",
            },
            "annotations": {"summary": "120 failed logins in 5 minutes"},
            "startsAt": "2026-11-24T11:55:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prom:9090/graph",
            "fingerprint": "c1b2d3e4f5a60718",
        },
        {
            "status": "resolved",
            "labels": {
                "alertname": "HostDown",
                "instance": "db-3.corp.example:9100",
                "severity": "warning",
            },
            "annotations": {},
            "startsAt": "2026-11-24T11:00:00Z",
            "endsAt": "2026-11-24T11:30:00Z",
            "fingerprint": "0011223344556677",
        },
    ],
}

GUARDDUTY: dict[str, Any] = {
    "schemaVersion": "2.0",
    "accountId": "123456789012",
    "region": "eu-central-1",
    "id": "16afba5c5c43e07c9e3e5e2e544e95df",
    "type": "Backdoor:EC2/C&CActivity.B!DNS",
    "severity": 8,
    "title": "Command and Control server domain name queried by EC2 instance i-99999999.",
    "updatedAt": "2026-11-24T11:50:00Z",
    "resource": {
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": "i-99999999",
            "networkInterfaces": [{"privateIpAddress": "10.0.0.1", "publicIp": "198.51.100.0"}],
            "tags": [{"key": "Name", "value": "build-agent-4"}],
        },
    },
    "service": {
        "action": {
            "actionType": "DNS_REQUEST",
            "dnsRequestAction": {"domain": "GuardDutyC2ActivityB.example"},
        },
        "eventLastSeen": "2026-11-24T11:49:00Z",
        "archived": False,
        "count": 3,
    },
}

FALCO: dict[str, Any] = {
    "uuid": "7b9c0a4e-2c1f-4a1d-8d2b-6a1a5b0f2c11",
    "hostname": "node-7",
    "output": "11:59:59 Critical: outbound connection to C2 server (user=www command=curl x connection=10.4.2.17:39000->198.51.100.23:443)",
    "output_fields": {
        "evt.time": 1795521599000000000,
        "fd.lip": "10.4.2.17",
        "fd.lport": 39000,
        "fd.rip": "198.51.100.23",
        "fd.rport": 443,
        "fd.name": "10.4.2.17:39000->198.51.100.23:443",
        "proc.cmdline": "curl https://198.51.100.23/x",
        "proc.exepath": "/usr/bin/curl",
        "proc.name": "curl",
        "proc.pid": 4711,
        "user.name": "www-data",
        "container.id": "<NA>",
    },
    "priority": "Critical",
    "rule": "Outbound Connection to C2 Servers",
    "source": "syscall",
    "tags": ["mitre_command_and_control", "T1071", "network"],
    "time": "2026-11-24T11:59:59.000000003Z",
}

CROWDSEC: dict[str, Any] = {
    "uuid": "5f0ad7b2-5a6e-4a52-b12f-0f6f5d6d9a52",
    "machine_id": "edge-1",
    "scenario": "crowdsecurity/ssh-bf",
    "message": "Ip 203.0.113.9 performed 'crowdsecurity/ssh-bf' (6 events over 12s) at 2026-11-24T11:59:00Z",
    "created_at": "2026-11-24T11:59:02Z",
    "start_at": "2026-11-24T11:58:48Z",
    "stop_at": "2026-11-24T11:59:00Z",
    "simulated": False,
    "source": {
        "scope": "Ip",
        "value": "203.0.113.9",
        "ip": "203.0.113.9",
        "range": "203.0.113.0/24",
    },
    "decisions": [
        {
            "type": "ban",
            "duration": "4h",
            "scope": "Ip",
            "value": "203.0.113.9",
            "scenario": "crowdsecurity/ssh-bf",
        }
    ],
    "events": [
        {
            "timestamp": "2026-11-24T11:58:50Z",
            "meta": [{"key": "target_user", "value": "root"}, {"key": "service", "value": "ssh"}],
        }
    ],
}

NATIVE: dict[str, dict[str, Any]] = {
    "suricata": EVE,
    "wazuh": WAZUH,
    "crowdsec": CROWDSEC,
    "alertmanager": ALERTMANAGER,
    "guardduty": GUARDDUTY,
    "falco": FALCO,
}
