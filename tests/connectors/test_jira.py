"""The Jira connector beyond the contract: one ticket despite search lag, and plain text."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import HttpConnectorContract, Sample
from connectors.jira import adf
from connectors.jira.connector import Jira
from connectors.jira.emulator import JiraEmulator
from connectors.jira.emulator_issues import is_document, text_of
from connectors.sdk.call import ActionCall
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unknown

OPEN = {
    "title": "Contained ws-042",
    "description": "It beaconed.",
    "priority": "critical",
    "evidence": {"malicious": 12},
    "labels": ["c2 beacon"],
}


class TestJira(HttpConnectorContract):
    connector = Jira
    emulator = JiraEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "find": Sample({"key": "SOC-1"}),
        "open": Sample(OPEN),
        "comment": Sample({"key": "SOC-1", "text": "Isolated."}),
        "close": Sample({"key": "SOC-1"}),
    }

    async def test_plan_finds_a_ticket_after_a_lost_reply_despite_search_lag(
        self,
    ) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, ActionCall.bare())
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await jira.apply("open", planned_change, ActionCall.bare())
            again = await jira.plan("open", OPEN, ActionCall.bare())
        assert (again["changed"], again["key"]) == (False, "SOC-3")
        assert world.project.searches < world.issues["SOC-3"]["found_from"]

    @pytest.mark.parametrize("letter", ["A", "\U0001f600"])
    async def test_long_title_is_shortened_and_the_whole_stands_in_the_ticket(
        self, letter: str
    ) -> None:
        world, title = self.make_world(), letter * 300
        async with self.open(world, Access.WRITE) as jira:
            given = {**OPEN, "title": title}
            planned_change = await jira.plan("open", given, ActionCall.bare())
            output = await jira.apply("open", planned_change, ActionCall.bare())
        shown = world.issues[output["key"]]["fields"]["summary"]
        assert shown == planned_change["title"] == title[: len(shown) - 1] + "…"
        assert title in json.dumps(planned_change["body"], ensure_ascii=False)

    async def test_lost_ticket_is_found_among_hundreds_of_newer_ones(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, ActionCall.bare())
            _others(world, 150)
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await jira.apply("open", planned_change, ActionCall.bare())
            _others(world, 150)
            assert (await jira.apply("open", planned_change, ActionCall.bare()))["key"] == "SOC-153"
        assert len(world.issues) == 303

    async def test_lost_ticket_is_found_when_search_finds_only_newer_ones(
        self,
    ) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply(
                "open", await jira.plan("open", OPEN, ActionCall.bare()), ActionCall.bare()
            )
            _others(world, 40, known=True)
            assert (await jira.plan("open", OPEN, ActionCall.bare()))["key"] == "SOC-3"

    async def test_two_steps_open_two_tickets(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            for key in ("one", "two"):
                await jira.apply(
                    "open",
                    await jira.plan("open", OPEN, ActionCall.bare(key)),
                    ActionCall.bare(key),
                )
        assert len(world.issues) == 4

    async def test_too_many_newer_tickets_require_a_new_plan(
        self,
    ) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, ActionCall.bare())
            _others(world, 5100)
            with pytest.raises(Rejected, match="plan again"):
                await jira.apply("open", planned_change, ActionCall.bare())
        assert world.effects == []

    async def test_alert_text_is_plain_text_in_the_ticket(self) -> None:
        world = self.make_world()
        hostile = "[~accountid:5b1] [click|https://evil.example] <b>\n@all {code}\u202egnp.exe"
        inputs = {"title": "a\nb\u0000", "description": hostile, "evidence": {"text": hostile}}
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply(
                "open", await jira.plan("open", inputs, ActionCall.bare()), ActionCall.bare()
            )
        fields = world.issues["SOC-3"]["fields"]
        assert _types(fields["description"]) == {
            "doc",
            "paragraph",
            "text",
            "hardBreak",
            "codeBlock",
        }
        assert "[~accountid:5b1] [click|https://evil.example] <b>\n@all {code}" in text_of(
            fields["description"]
        )
        assert "\u202e" not in json.dumps(fields, ensure_ascii=False)
        assert fields["summary"] == "a b\ufffd"

    async def test_label_that_looks_like_a_tag_is_dropped(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as jira:
            inputs = {**OPEN, "labels": [ActionCall.bare("other").tag, "two words"]}
            await jira.apply(
                "open", await jira.plan("open", inputs, ActionCall.bare()), ActionCall.bare()
            )
            assert (await jira.plan("open", OPEN, ActionCall.bare("other")))["changed"] is True
        assert world.issues["SOC-3"]["fields"]["labels"] == [
            "tocsin",
            "two_words",
            ActionCall.bare().tag,
        ]

    @pytest.mark.parametrize("key", ["HR-1", "SOC-1/../../x", "SOC-0", "SOC-1?x", "soc"])
    async def test_ticket_of_another_project_is_rejected(self, key: str) -> None:
        async with self.open(self.make_world(), Access.READ) as jira:
            with pytest.raises(Rejected, match="project SOC"):
                await jira.read("find", {"key": key}, ActionCall.bare())

    @pytest.mark.parametrize(
        ("action", "inputs"),
        [("comment", {"key": "SOC-99", "text": "x"}), ("close", {"key": "SOC-99"})],
    )
    async def test_unknown_ticket_is_rejected(self, action: str, inputs: dict[str, Any]) -> None:
        async with self.open(self.make_world(), Access.READ) as jira:
            with pytest.raises(Rejected, match="no ticket SOC-99"):
                await jira.plan(action, inputs, ActionCall.bare())

    async def test_unknown_transition_is_reported_with_the_possible_ones(self) -> None:
        async with self.open(self.make_world(), Access.READ, close_transition="Abandon") as jira:
            with pytest.raises(Rejected, match="Start work, Resolve"):
                await jira.plan("close", {"key": "SOC-1"}, ActionCall.bare())

    async def test_comment_is_found_among_hundreds_of_newer_ones(self) -> None:
        world, inputs = self.make_world(), {"key": "SOC-1", "text": "Isolated."}
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply(
                "comment", await jira.plan("comment", inputs, ActionCall.bare()), ActionCall.bare()
            )
            world.issues["SOC-1"]["comments"] += [
                {"id": str(20_000 + n), "body": {"type": "doc"}, "properties": []}
                for n in range(250)
            ]
            assert (await jira.plan("comment", inputs, ActionCall.bare()))["changed"] is False
            assert (await jira.plan("comment", inputs, ActionCall.bare("other")))["changed"] is True

    async def test_check_names_an_invisible_project(self) -> None:
        async with self.open(self.make_world(), Access.READ, project="NOPE") as jira:
            with pytest.raises(Rejected, match="no project NOPE"):
                await jira.check()

    async def test_write_token_is_used_for_write_access_only(self) -> None:
        given = {"api_token": "only-reads", "write_api_token": "lab-token"}
        async with self.open(self.make_world(), Access.WRITE, **given) as writer:
            assert await writer.check()
        async with self.open(self.make_world(), Access.READ, **given) as reader:
            with pytest.raises(Rejected, match="credential"):
                await reader.check()


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "issue/SOC-1", True),
        ("POST", "search/jql", True),
        ("POST", "issue/bulkfetch", True),
        ("POST", "comment/list", True),
        ("PUT", "search/jql", False),
        ("POST", "issue", False),
        ("POST", "issue/SOC-1/comment", False),
        ("POST", "issue/SOC-1/transitions", False),
        ("POST", "issue/bulk", False),
        ("DELETE", "issue/SOC-1", False),
    ],
)
def test_only_lookup_posts_are_reads(method: str, path: str, *, reads: bool) -> None:
    assert Jira.is_read(httpx.Request(method, f"https://corp.example/rest/api/3/{path}")) is reads


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300),
    st.recursive(
        st.none() | st.text(max_size=20) | st.integers(), lambda inner: st.lists(inner, max_size=3)
    ),
    st.integers(1, 400),
)
def test_any_alert_text_becomes_a_valid_document(text: str, evidence: Any, times: int) -> None:
    for body in (adf.ticket(text * times, [evidence] * times, "footer"), adf.comment(text * times)):
        assert is_document(body)
        assert len(json.dumps(body)) <= 32_767


def test_long_evidence_is_truncated_with_a_note() -> None:
    body = adf.ticket("short", ["x" * 50_000], "footer")
    assert "truncated by Tocsin" in text_of(body)
    assert text_of(body).endswith("footer")


def _others(world: JiraEmulator, count: int, *, known: bool = False) -> None:
    """Add tickets of other people; with `known`, search finds them already."""
    for _ in range(count):
        key = world.project.add({"summary": "other", "labels": []}, [])
        if known:
            world.issues[key]["found_from"] = 0


def _types(node: dict[str, Any]) -> set[str]:
    return {node["type"]}.union(*(_types(child) for child in node.get("content", [])))
