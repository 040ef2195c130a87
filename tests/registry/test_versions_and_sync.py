"""Versions and sync: an installation follows a folder, and versions are rolled back."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.run import BUILT_IN
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.registry import versions
from orchestrator.registry.built_in import contain_plan
from orchestrator.registry.folder import read_folder
from orchestrator.registry.publish import (
    PlaybookFiles,
    get_playbook,
    list_playbooks,
    publish_playbook,
)
from orchestrator.registry.sync import SyncResult, sync
from orchestrator.registry.versions import RetiredVersions
from orchestrator.runtime import Runtime
from orchestrator.store.tables import LeaseRow, PlaybookRow, RunRow
from tests.harness.databases import START, opened

ADMIN = "person:admin"


def playbook(
    name: str,
    version: int = 1,
    title: str = "Say it",
    step: str = "use: chat.post, with: {channel: soc, text: hello}",
) -> str:
    return f"playbook: {name}\nversion: {version}\ntitle: {title}\nowner: soc\nsteps:\n  - {{id: tell, {step}}}\n"


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path / "data", None) as [runtime]:
        yield dataclasses.replace(
            runtime, settings=runtime.settings.model_copy(update={"environment": "staging"})
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "wanted"
    write(place, "one", playbook("one"))
    write(place, "two", playbook("two"))
    return place


def write(folder: Path, name: str, text: str) -> None:
    (folder / name / "alerts").mkdir(parents=True, exist_ok=True)
    (folder / name / "playbook.yaml").write_text(text, "utf-8")
    (folder / name / "tests.yaml").write_text("cases: []", "utf-8")
    (folder / name / "alerts" / "a.json").write_bytes(b"{}")


async def synced(rt: Runtime, folder: Path, *, plan_only: bool = False, **more: Any) -> SyncResult:
    wanted = read_folder(folder, more.pop("environment", "staging"), prune=more.pop("prune", False))
    return await sync(rt, wanted, plan_only=plan_only, actor=ADMIN)


def verbs(found: SyncResult) -> dict[str, str]:
    return {step.what: step.verb for step in found.steps}


async def published(rt: Runtime) -> list[tuple[str, int, bool]]:
    return [(view.name, view.version, view.retired) for view in await list_playbooks(rt)]


async def test_sync_is_planned_first_and_then_done_once(rt: Runtime, folder: Path) -> None:
    planned = await synced(rt, folder, plan_only=True)
    assert (verbs(planned), planned.done, await published(rt)) == (
        {"one version 1": "publish", "two version 1": "publish"},
        False,
        [],
    )
    assert verbs(await synced(rt, folder)) == verbs(planned)
    again = await synced(rt, folder)
    assert (again.changes, await published(rt)) == (0, [("one", 1, False), ("two", 1, False)])
    assert (await get_playbook(rt, "one")).tested


async def test_new_version_is_published_and_missing_one_pruned(rt: Runtime, folder: Path) -> None:
    await synced(rt, folder)
    write(folder, "one", playbook("one", 2, "Say it louder"))
    for file in sorted((folder / "two").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    made = contain_plan(
        1,
        connection="firewall",
        capability="firewall",
        action="block_address",
        field="address",
        type_="address",
        ends=True,
    )
    async with rt.store.write() as session:
        session.add(
            PlaybookRow(
                name=made.playbook,
                version=1,
                digest=made.digest,
                title=made.title,
                owner=made.owner,
                plan=made.model_dump(mode="json"),
                source="",
                published_at=START,
                published_by="system",
                stage=BUILT_IN,
            )
        )
    assert verbs(await synced(rt, folder)) == {"one version 2": "publish"}
    assert verbs(await synced(rt, folder, prune=True)) == {
        "one version 2": "unchanged",
        "two version 1": "retire",
    }
    assert (await synced(rt, folder, prune=True)).changes == 0


async def test_changed_content_under_a_published_version_is_refused(
    rt: Runtime, folder: Path
) -> None:
    await synced(rt, folder)
    write(folder, "one", playbook("one", 1, "Changed"))
    write(folder, "zwei", playbook("zwei"))
    with pytest.raises(
        Conflict,
        match=r"one/playbook\.yaml: one version 1 is published with other content; raise `version` to 2",
    ):
        await synced(rt, folder)
    assert ("zwei", 1, False) not in await published(rt)


async def test_one_invalid_playbook_stops_the_sync(rt: Runtime, folder: Path) -> None:
    write(folder, "bad", playbook("bad", step="use: chat.pst, with: {}"))
    with pytest.raises(Invalid, match=r"bad/playbook\.yaml:6"):
        await synced(rt, folder)
    assert await published(rt) == []


async def test_called_playbook_is_published_first(rt: Runtime, folder: Path) -> None:
    write(folder, "a-caller", playbook("a-caller", step="call: two@1"))
    order = list(verbs(await synced(rt, folder)))
    assert order.index("two version 1") < order.index("a-caller version 1")
    assert len(await published(rt)) == 3


async def test_folder_for_another_environment_is_refused(rt: Runtime, folder: Path) -> None:
    with pytest.raises(
        Conflict, match="this installation is staging, but the folder is for production"
    ):
        await synced(rt, folder, environment="production")


async def test_folder_is_refused_where_signatures_are_required(rt: Runtime, folder: Path) -> None:
    demanding = dataclasses.replace(
        rt, settings=rt.settings.model_copy(update={"require_signed": True})
    )
    with pytest.raises(Conflict, match="tocsin playbook promote"):
        await synced(demanding, folder)


async def test_policy_of_the_folder_is_put_in_force_once(rt: Runtime, folder: Path) -> None:
    (folder / "policy.yaml").write_text(DEFAULT_POLICY, "utf-8")
    assert verbs(await synced(rt, folder))["the policy"] == "put in force"
    assert verbs(await synced(rt, folder))["the policy"] == "unchanged"


async def test_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x", "utf-8")
    (folder / "one" / "alerts" / "link.json").symlink_to(tmp_path / "secret")
    with pytest.raises(Invalid, match=r"link\.json: links out of the folder"):
        read_folder(folder, "staging", prune=False)


async def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="holds neither"):
        read_folder(tmp_path, "staging", prune=False)


async def test_roll_back_retires_newer_versions(rt: Runtime) -> None:
    for number in (1, 2, 3):
        await publish_playbook(rt, playbook("one", number, f"v{number}"), "one.yaml", actor=ADMIN)
    assert await versions.roll_back(rt, "one", 1, actor=ADMIN) == RetiredVersions(retired=(3, 2))
    assert (await get_playbook(rt, "one")).version == 1
    with pytest.raises(Conflict, match="already takes alerts"):
        await versions.roll_back(rt, "one", 1, actor=ADMIN)
    await versions.reinstate(rt, "one", 3, actor=ADMIN)
    assert (await get_playbook(rt, "one")).version == 3
    with pytest.raises(NotFound):
        await versions.roll_back(rt, "one", 9, actor=ADMIN)


async def test_shadow_takes_no_alerts_until_it_is_live(rt: Runtime) -> None:
    await publish_playbook(rt, playbook("one"), "one.yaml", actor=ADMIN)
    await publish_playbook(rt, playbook("one", 2, "v2"), "one.yaml", actor=ADMIN, stage="shadow")
    assert (await get_playbook(rt, "one")).version == 1
    await versions.set_stage(rt, "one", 2, "live", actor=ADMIN)
    assert (await get_playbook(rt, "one")).version == 2


async def test_usage_counts_open_runs_and_live_leases(rt: Runtime) -> None:
    for number in (1, 2):
        await publish_playbook(rt, playbook("one", number, f"v{number}"), "one.yaml", actor=ADMIN)
    async with rt.store.write() as session:
        for id_, status in (("run_1", "waiting"), ("run_2", "completed")):
            about = {
                "playbook": "one",
                "version": 1,
                "plan_digest": "p",
                "status": status,
                "started_by": ADMIN,
                "created_at": START,
            }
            session.add(RunRow(id=id_, **about))
        session.add(
            LeaseRow(
                id="run_2/tell", containment_key="k", run_id="run_2", path="tell", created_at=START
            )
        )
    newest, first = await versions.version_usage(rt, "one")
    assert (newest.version, newest.takes_alerts, newest.open_runs) == (2, True, ())
    assert (first.version, first.takes_alerts, first.open_runs, first.live_leases) == (
        1,
        False,
        ("run_1",),
        1,
    )


async def test_missing_tests_are_added_and_never_replaced(
    rt: Runtime,
) -> None:
    await publish_playbook(rt, playbook("one"), "one.yaml", actor=ADMIN)
    await publish_playbook(
        rt, playbook("one"), "one.yaml", actor=ADMIN, files=PlaybookFiles(tests="first")
    )
    with pytest.raises(Conflict, match="other tests"):
        await publish_playbook(
            rt, playbook("one"), "one.yaml", actor=ADMIN, files=PlaybookFiles(tests="second")
        )
    async with rt.store.read() as session:
        row = await session.get(PlaybookRow, ("one", 1))
    assert row is not None
    assert row.tests == "first"


async def test_changed_tests_of_a_published_version_stop_a_sync(rt: Runtime, folder: Path) -> None:
    await synced(rt, folder)
    (folder / "one" / "tests.yaml").write_text("cases: [] # changed", "utf-8")
    with pytest.raises(Conflict, match=r"one/playbook\.yaml: one version 1 .* other tests"):
        await synced(rt, folder)
