"""Tocsin for the benchmark: a playbook of four reads and a block, a source, two connections."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

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

SOURCE = "bench"
ACTOR = "person:benchmark"
# Without limits, and with a circuit breaker out of reach.
POLICY = "protect: {hosts: [dc-01]}\nbreaker: {at_least: 1000000}\n"
SETTINGS = {"TOCSIN_SOURCE_OPEN_RUNS": "0", "TOCSIN_RATE_LIMIT_SOURCE": "0"}
"""Lift what would otherwise be measured: the open runs and the deliveries of one source."""
PLAYBOOK = """\
playbook: bench
version: 1
title: Four reads and a block
owner: benchmark
trigger: {when: alert.class == 'scan', once_per: "${{ alert.remote.address }}"}
steps:
  - {id: address, use: reputation.lookup_address, with: {address: "${{ alert.remote.address }}"}}
  - {id: domain, use: reputation.lookup_domain, with: {domain: cdn.example}}
  - id: file
    use: reputation.lookup_hash
    with: {hash: 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f}
  - {id: url, use: reputation.lookup_url, with: {url: "https://cdn.example/"}}
  - {id: block, use: firewall.block_address, with: {address: "${{ alert.remote.address }}"}}
"""


async def prepare(data_dir: Path, target: str) -> tuple[Settings, str]:
    """Prepare a data directory, and return its settings and the source's secret."""
    settings = Settings.load(data_dir=data_dir)
    runtime = open_runtime(settings)
    try:
        await first_start.prepare(runtime, None)
        reached = lab_settings(target)
        for name, connector in (("firewall", "palo_alto"), ("reputation", "virustotal")):
            await connections.save_connection(
                runtime, name, connector, reached[connector], actor=ACTOR, check=False
            )
        await policies.publish_policy(runtime, POLICY, actor=ACTOR)
        await publish.publish_playbook(runtime, PLAYBOOK, "bench.yaml", actor=ACTOR)
        _, secret = await sources.add_source(
            runtime,
            SOURCE,
            "crowdsec",
            Scheme.BEARER,
            secret=None,
            options={},
            mapping=None,
            correlate_by="remote",
            correlate_within=timedelta(hours=1),
            actor=ACTOR,
        )
        assert secret is not None
    finally:
        await runtime.close()
    return settings, secret.get_secret_value()


def commands(settings: Settings) -> tuple[list[tuple[str, list[str], dict[str, str]]], str]:
    """Return the programs to start, in order, and the API's URL."""
    listening = Listening(
        pid=0,
        host="127.0.0.1",
        api=choose("127.0.0.1"),
        temporal=choose("127.0.0.1"),
        workers={"worker": None},
    )
    found = []
    for program in stack_programs(settings, None, listening, {}):
        is_worker = program.name == "worker"
        command = (
            [sys.executable, str(Path(__file__).with_name("worker.py"))]
            if is_worker
            else list(program.command)
        )
        found.append((program.name, command, {**program.environment, **SETTINGS}))
    return found, listening.api_url


def alert(address: str) -> bytes:
    """Return an alert as CrowdSec sends it."""
    body: list[dict[str, Any]] = [
        {
            "uuid": f"bench-{address}",
            "machine_id": "edge-1",
            "scenario": "crowdsecurity/http-probing",
            "message": f"Ip {address} performed 'crowdsecurity/http-probing'",
            "start_at": "2026-11-24T03:20:00Z",
            "stop_at": "2026-11-24T03:20:12Z",
            "source": {"scope": "Ip", "value": address, "ip": address},
        }
    ]
    return json.dumps(body).encode()
