"""What the Jira connector keeps beyond the contract: one ticket although search lags, and an alert's text as text."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.jira import adf
from connectors.jira.connector import Jira
from connectors.jira.emulator import JiraEmulator, is_document, text_of
from connectors.sdk.call import Call
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.http import Access
from orchestrator.domain.errors import Rejected, Unknown

OPEN = {
    "title": "Contained ws-042",
    "description": "It beaconed.",
    "priority": "critical",
    "evidence": {"malicious": 12},
    "labels": ["c2 beacon"],
}


class TestJira(HttpConnectorContract):
    """Every promise of the contract."""

    connector = Jira
    emulator = JiraEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "find": Sample({"key": "SOC-1"}),
        "open": Sample(OPEN),
        "comment": Sample({"key": "SOC-1", "text": "Isolated."}),
        "close": Sample({"key": "SOC-1"}),
    }

    def world(self) -> JiraEmulator:
        """A fresh emulator."""
        return JiraEmulator()

    async def test_a_ticket_whose_reply_was_lost_is_found_by_a_plan_although_search_does_not_know_it(
        self,
    ) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, Call.bare())
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await jira.apply("open", planned_change, Call.bare())
            again = await jira.plan("open", OPEN, Call.bare())
        assert (again["changed"], again["key"]) == (False, "SOC-3")
        assert world.searches < world.issues["SOC-3"]["found_from"]

    async def test_a_lost_ticket_is_found_behind_hundreds_of_newer_ones(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, Call.bare())
            _others(world, 150)
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await jira.apply("open", planned_change, Call.bare())
            _others(world, 150)
            assert (await jira.apply("open", planned_change, Call.bare()))["key"] == "SOC-153"
        assert len(world.issues) == 303

    async def test_a_lost_ticket_is_found_when_search_knows_newer_ones_but_not_this_one(
        self,
    ) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply("open", await jira.plan("open", OPEN, Call.bare()), Call.bare())
            _others(world, 40, known=True)
            assert (await jira.plan("open", OPEN, Call.bare()))["key"] == "SOC-3"

    async def test_two_steps_open_two_tickets(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            for key in ("one", "two"):
                await jira.apply(
                    "open", await jira.plan("open", OPEN, Call.bare(key)), Call.bare(key)
                )
        assert len(world.issues) == 4

    async def test_after_more_tickets_than_can_be_looked_through_it_asks_for_a_new_plan(
        self,
    ) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            planned_change = await jira.plan("open", OPEN, Call.bare())
            _others(world, 5100)
            with pytest.raises(Rejected, match="plan it again"):
                await jira.apply("open", planned_change, Call.bare())
        assert world.effects == []

    async def test_an_alerts_text_is_plain_text_in_the_ticket(self) -> None:
        world = self.world()
        hostile = "[~accountid:5b1] [click|https://evil.example] <b>\n@all {code}\u202egnp.exe"
        wish = {"title": "a\nb\u0000", "description": hostile, "evidence": {"said": hostile}}
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply("open", await jira.plan("open", wish, Call.bare()), Call.bare())
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

    async def test_a_label_that_looks_like_our_tag_cannot_claim_a_ticket(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as jira:
            wish = {**OPEN, "labels": [Call.bare("other").tag, "two words"]}
            await jira.apply("open", await jira.plan("open", wish, Call.bare()), Call.bare())
            assert (await jira.plan("open", OPEN, Call.bare("other")))["changed"] is True
        assert world.issues["SOC-3"]["fields"]["labels"] == ["tocsin", "two_words", Call.bare().tag]

    @pytest.mark.parametrize("key", ["HR-1", "SOC-1/../../x", "SOC-0", "SOC-1?x", "soc"])
    async def test_only_tickets_of_the_project_can_be_named(self, key: str) -> None:
        async with self.open(self.world(), Access.READ) as jira:
            with pytest.raises(Rejected, match="project SOC"):
                await jira.read("find", {"key": key}, Call.bare())

    @pytest.mark.parametrize(
        ("action", "wish"),
        [("comment", {"key": "SOC-99", "text": "x"}), ("close", {"key": "SOC-99"})],
    )
    async def test_a_ticket_that_is_not_there_is_rejected(
        self, action: str, wish: dict[str, Any]
    ) -> None:
        async with self.open(self.world(), Access.READ) as jira:
            with pytest.raises(Rejected, match="no ticket SOC-99"):
                await jira.plan(action, wish, Call.bare())

    async def test_a_transition_that_is_not_there_is_told_with_those_that_are(self) -> None:
        async with self.open(self.world(), Access.READ, close_transition="Abandon") as jira:
            with pytest.raises(Rejected, match="Start work, Resolve"):
                await jira.plan("close", {"key": "SOC-1"}, Call.bare())

    async def test_a_comment_is_found_behind_hundreds_of_newer_ones(self) -> None:
        world, wish = self.world(), {"key": "SOC-1", "text": "Isolated."}
        async with self.open(world, Access.WRITE) as jira:
            await jira.apply("comment", await jira.plan("comment", wish, Call.bare()), Call.bare())
            world.issues["SOC-1"]["comments"] += [
                {"id": str(20_000 + n), "body": {"type": "doc"}, "properties": []}
                for n in range(250)
            ]
            assert (await jira.plan("comment", wish, Call.bare()))["changed"] is False
            assert (await jira.plan("comment", wish, Call.bare("other")))["changed"] is True

    async def test_a_project_that_cannot_be_seen_is_named_by_the_check(self) -> None:
        async with self.open(self.world(), Access.READ, project="NOPE") as jira:
            with pytest.raises(Rejected, match="no project NOPE"):
                await jira.check()

    async def test_the_write_token_signs_changes_only(self) -> None:
        given = {"api_token": "only-reads", "write_api_token": "lab-token"}
        async with self.open(self.world(), Access.WRITE, **given) as writer:
            assert await writer.check()
        async with self.open(self.world(), Access.READ, **given) as reader:
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
def test_only_the_posts_that_look_things_up_count_as_reading(
    method: str, path: str, *, reads: bool
) -> None:
    assert Jira.is_read(httpx.Request(method, f"https://corp.example/rest/api/3/{path}")) is reads


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300),
    st.recursive(
        st.none() | st.text(max_size=20) | st.integers(), lambda inner: st.lists(inner, max_size=3)
    ),
    st.integers(1, 400),
)
def test_whatever_an_alert_says_becomes_a_document_that_jira_takes(
    text: str, evidence: Any, times: int
) -> None:
    for body in (adf.ticket(text * times, [evidence] * times, "footer"), adf.comment(text * times)):
        assert is_document(body)
        assert len(json.dumps(body)) <= 32_767


def test_evidence_that_is_too_long_is_cut_and_says_so() -> None:
    body = adf.ticket("short", ["x" * 50_000], "footer")
    assert "cut here by Tocsin" in text_of(body)
    assert text_of(body).endswith("footer")


def _others(world: JiraEmulator, count: int, *, known: bool = False) -> None:
    """Tickets that other people open meanwhile; `known`: search has them already."""
    for _ in range(count):
        key = world.add({"summary": "other", "labels": []}, [])
        if known:
            world.issues[key]["found_from"] = 0


def _types(node: dict[str, Any]) -> set[str]:
    return {node["type"]}.union(*(_types(child) for child in node.get("content", [])))
