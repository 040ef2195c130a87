"""First start: it creates what is missing, and leaves what exists unchanged."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from connectors.registry import CONNECTORS
from orchestrator import first_start
from orchestrator.access import keys
from orchestrator.assets import inventory
from orchestrator.connections import manage as connections
from orchestrator.domain.access import Role
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.registry import publish
from playbooks import NAMES
from tests.harness.databases import opened

LAB = "http://127.0.0.1:8090"


async def test_a_first_start_creates_a_policy_and_a_valid_key(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await first_start.prepare(rt, None)
        file = rt.settings.admin_key_path
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (await keys.authenticate_key(rt, file.read_text().strip())).roles == (Role.ADMIN,)
        assert (await policies.current_policy(rt)).source == DEFAULT_POLICY
        assert await connections.list_connections(rt) == ()


async def test_with_a_lab_every_capability_has_a_connection_and_the_shipped_playbooks_are_published(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await first_start.prepare(rt, LAB)
        bound = {view.name: view.connector for view in await connections.list_connections(rt)}
        wanted = {"firewall": "palo_alto", "edr": "crowdstrike", "tickets": "jira"}
        wanted |= {"reputation": "virustotal", "chat": "slack", "identity": "okta"}
        assert bound == wanted
        assert set(bound.values()) < {each.name for each in CONNECTORS}
        assert sorted(view.name for view in await publish.list_playbooks(rt)) == sorted(NAMES)
        assert len(await inventory.list_assets(rt)) > 0


async def test_further_starts_change_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await first_start.prepare(rt, LAB)
        before = [
            await connections.list_connections(rt),
            await publish.list_playbooks(rt),
            await keys.list_keys(rt),
        ]
        await first_start.prepare(rt, LAB)
        assert [
            await connections.list_connections(rt),
            await publish.list_playbooks(rt),
            await keys.list_keys(rt),
        ] == before


async def test_a_lab_that_moved_is_followed_and_other_connections_are_kept(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, None) as [rt]:
        own = {"base_url": "https://firewall.corp.example", "api_key": "k"}
        await connections.save_connection(
            rt, "firewall", "palo_alto", own, actor="person:ann", check=False
        )
        await first_start.prepare(rt, LAB)
        await first_start.prepare(rt, "http://127.0.0.1:9999")
        urls = {
            view.name: view.settings["base_url"] for view in await connections.list_connections(rt)
        }
        assert urls["firewall"] == "https://firewall.corp.example"
        assert urls["edr"] == "http://127.0.0.1:9999/crowdstrike"


async def test_an_altered_shipped_playbook_does_not_prevent_the_start(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, None) as [rt]:
        text = f"playbook: {NAMES[0]}\nversion: 1\ntitle: Mine\nowner: me\nsteps: [{{id: pause, wait: 1s}}]\n"
        await publish.publish_playbook(rt, text, "mine.yaml", actor="person:ann")
        await first_start.prepare(rt, LAB)
        assert (await publish.get_playbook(rt, NAMES[0], 1)).title == "Mine"
        assert len(await publish.list_playbooks(rt)) >= len(NAMES)


async def test_processes_that_start_together_create_one_of_each(
    tmp_path: Path, database: str | None
) -> None:
    async with opened(tmp_path, database, processes=3) as runtimes:
        await asyncio.gather(*(first_start.prepare(rt, LAB) for rt in runtimes))
        rt = runtimes[0]
        assert (await policies.current_policy(rt)).version == 1
        assert len([key for key in await keys.list_keys(rt) if key.revoked_at is None]) == 1
        assert (
            await keys.authenticate_key(rt, rt.settings.admin_key_path.read_text().strip())
        ).person == "admin"
        assert len(await connections.list_connections(rt)) == 6
        assert len(await publish.list_playbooks(rt)) == len(NAMES)
