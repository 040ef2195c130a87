"""Tocsin for the benchmarks of the intake: sources, a playbook, and the programs of a stack."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from processes import Processes, wait_for

from connectors.lab import lab_settings
from orchestrator import first_start
from orchestrator.cli.stack.ports import Listening, choose
from orchestrator.cli.stack.programs import stack_programs
from orchestrator.connections import manage as connections
from orchestrator.intake import sources
from orchestrator.intake.authenticate import Scheme
from orchestrator.policy import policies
from orchestrator.registry import publish
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from webhook.senders import Target

ACTOR = "person:benchmark"
POLICY = "protect: {hosts: [dc-01]}\n"  # without limits, which would be reached
PLAYBOOK = """\
playbook: bench
version: 1
title: Look an address up
owner: benchmark
trigger:
  when: alert.class == 'scan' or alert.severity >= 4
  once_per: "${{ alert.remote.address }}"
steps:
  - {id: address, use: reputation.lookup_address, with: {address: "${{ alert.remote.address }}"}}
"""
STARTS_RUN = "crowdsecurity/http-probing"
STARTS_NONE = "crowdsecurity/ssh-bf"
_UNLIMITED = {
    "TOCSIN_RATE_LIMIT_SOURCE": "0",
    "TOCSIN_RATE_LIMIT_ADDRESS": "0",
    "TOCSIN_CONNECTIONS_PER_ADDRESS": "1000",
    "TOCSIN_MAX_BODY_BYTES": str(8 * 1024 * 1024),
}
"""All deliveries come from one address, which the defaults bound."""


async def prepare(
    data_dir: Path,
    names: tuple[str, ...],
    *,
    target: str | None = None,
    product: str = "crowdsec",
) -> tuple[Settings, dict[str, str]]:
    """Prepare a data directory. Return its settings and each source's secret."""
    settings = Settings.load(data_dir=data_dir)
    runtime = open_runtime(settings)
    secrets: dict[str, str] = {}
    try:
        await first_start.prepare(runtime, None)
        reached = lab_settings(target or "http://127.0.0.1:9")
        await connections.save_connection(
            runtime, "reputation", "virustotal", reached["virustotal"], actor=ACTOR, check=False
        )
        await policies.publish_policy(runtime, POLICY, actor=ACTOR)
        await publish.publish_playbook(runtime, PLAYBOOK, "bench.yaml", actor=ACTOR)
        for name in names:
            _, secret = await sources.add_source(
                runtime,
                name,
                product,
                Scheme.BEARER,
                correlate_by="remote",
                correlate_within=timedelta(hours=1),
                actor=ACTOR,
            )
            assert secret is not None
            secrets[name] = secret.get_secret_value()
    finally:
        await runtime.close()
    return settings, secrets


def start(
    settings: Settings,
    processes: Processes,
    programs: tuple[str, ...],
    environment: dict[str, str] | None = None,
) -> int:
    """Start programs of the stack. Return the API's port once it answers."""
    listening = Listening(
        pid=0,
        host="127.0.0.1",
        api=choose("127.0.0.1"),
        temporal=choose("127.0.0.1"),
        workers={"worker": None},
    )
    for program in stack_programs(settings, None, listening, {}):
        if program.name in programs:
            given = {**program.environment, **_UNLIMITED, **(environment or {})}
            processes.start(program.name, list(program.command), given)
    wait_for(f"{listening.api_url}/livez", processes)
    return listening.api


def target(port: int, source: str, secrets: dict[str, str]) -> Target:
    """Return where deliveries of a source go."""
    return Target(port, f"/v1/webhooks/{source}", secrets[source])


def item(number: int, scenario: str) -> dict[str, object]:
    """Return an alert as CrowdSec sends it, about an address of its own."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return {
        "uuid": f"bench-{number:08}",
        "machine_id": "edge-1",
        "scenario": scenario,
        "message": f"Ip {address} performed '{scenario}'",
        "start_at": "2026-11-24T03:20:00Z",
        "stop_at": "2026-11-24T03:20:12Z",
        "source": {"scope": "Ip", "value": address, "ip": address},
    }


def flow(number: int, address: str, severity: int) -> bytes:
    """Return an alert as Suricata sends it. `severity`: 1 is the highest, 3 is low."""
    record = {
        "timestamp": "2026-11-24T11:58:02.123456+0000",
        "flow_id": number,
        "event_type": "alert",
        "src_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "src_port": 51514,
        "dest_ip": address,
        "dest_port": 80,
        "proto": "TCP",
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": 2000537,
            "rev": 1,
            "signature": "ET SCAN probe",
            "category": "Attempted Information Leak",
            "severity": severity,
        },
    }
    return json.dumps(record).encode()


def distinct(numbers: Iterator[int], scenario: str) -> Iterator[bytes]:
    """Yield bodies of one alert each, none of which was sent before."""
    return (json.dumps([item(number, scenario)]).encode() for number in numbers)


def copies(number: int, scenario: str) -> Iterator[bytes]:
    """Yield the same body again and again."""
    return itertools.repeat(json.dumps([item(number, scenario)]).encode())


def batch(numbers: Iterator[int], scenario: str, count: int) -> bytes:
    """Return one body of many alerts."""
    return json.dumps(
        [item(number, scenario) for number in itertools.islice(numbers, count)]
    ).encode()


def ask(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    """Return rows of the database of an installation."""
    with closing(sqlite3.connect(f"file:{data_dir / 'tocsin.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def missing(data_dir: Path, alert_ids: set[bytes]) -> int:
    """Return how many accepted alerts the database does not have."""
    stored = {str(row[0]).encode() for row in ask(data_dir, "SELECT id FROM alerts")}
    return len(alert_ids - stored)
