"""The Slack connector beyond the contract: one message, failures under HTTP 200, plain text."""

from __future__ import annotations

import html
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import HttpConnectorContract, Sample
from connectors.sdk.call import ActionCall
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from connectors.slack.connector import Slack
from connectors.slack.emulator import SlackEmulator
from connectors.slack.text import escape, message, split_text
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

POST = {"channel": "#soc", "text": "ws-042 is isolated."}


class TestSlack(HttpConnectorContract):
    connector = Slack
    emulator = SlackEmulator
    samples: ClassVar[dict[str, Sample]] = {"post": Sample(POST)}

    async def test_message_is_found_among_a_thousand_newer_ones(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as slack:
            planned_change = await slack.plan("post", POST, ActionCall.bare())
            _add_messages(world, 450)
            output = await slack.apply("post", planned_change, ActionCall.bare())
            _add_messages(world, 1000)
            assert await slack.apply("post", planned_change, ActionCall.bare()) == output
            assert (await slack.plan("post", POST, ActionCall.bare()))["changed"] is False

    async def test_two_steps_post_two_messages(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as slack:
            for key in ("one", "two"):
                await slack.apply(
                    "post",
                    await slack.plan("post", POST, ActionCall.bare(key)),
                    ActionCall.bare(key),
                )
        assert world.in_force()["#soc"][1:] == [POST["text"]] * 2

    async def test_author_mentions_people_and_alert_text_mentions_no_one(self) -> None:
        world = self.make_world()
        given = {
            **POST,
            "text": "<!channel> <@U0ANALYST01> look",
            "mention": ["here", "U0ANALYST01", "S0ONCALL1"],
        }
        async with self.open(world, Access.WRITE) as slack:
            planned_change = await slack.plan("post", given, ActionCall.bare())
            await slack.apply("post", planned_change, ActionCall.bare())
        assert "mentioning here, U0ANALYST01, S0ONCALL1" in planned_change["summary"]
        blocks = world.messages["C0SOC000001"][-1]["blocks"]
        assert blocks[0]["text"] == {
            "type": "mrkdwn",
            "text": "<!here> <@U0ANALYST01> <!subteam^S0ONCALL1>",
            "verbatim": True,
        }
        assert blocks[1]["text"]["text"] == "&lt;!channel&gt; &lt;@U0ANALYST01&gt; look"
        assert "<" not in world.in_force()["#soc"][-1]

    @pytest.mark.parametrize("whom", ["ann", "C0SOC000001", "U0", "channel|x", "u0analyst01"])
    async def test_unknown_mention_is_rejected_with_the_fix(self, whom: str) -> None:
        async with self.open(self.make_world(), Access.READ) as slack:
            with pytest.raises(Rejected, match="mention"):
                await slack.plan("post", {**POST, "mention": [whom]}, ActionCall.bare())

    @pytest.mark.parametrize("channel", ["#soc", "soc", "C0SOC000001"])
    async def test_channel_is_found_by_name_and_id(self, channel: str) -> None:
        async with self.open(self.make_world(), Access.READ) as slack:
            planned_change = await slack.plan(
                "post", {**POST, "channel": channel}, ActionCall.bare()
            )
        assert planned_change["channel"] == "C0SOC000001"

    @pytest.mark.parametrize(
        ("channel", "fix"),
        [
            ("#nowhere", "invite the app"),
            ("#general", "invite the app"),
            ("#old-war-room", "no channel"),
            ("C0OLDWAR001", "archived"),
            ("U0ANALYST01", "no channel"),
        ],
    )
    async def test_unusable_channel_is_rejected_with_the_fix(self, channel: str, fix: str) -> None:
        async with self.open(self.make_world(), Access.READ) as slack:
            with pytest.raises(Rejected, match=fix):
                await slack.plan("post", {**POST, "channel": channel}, ActionCall.bare())

    async def test_only_configured_channels_are_allowed(self) -> None:
        async with self.open(
            self.make_world(), Access.READ, channels={"soc": "C0SOC000001"}
        ) as slack:
            assert (await slack.plan("post", POST, ActionCall.bare()))["channel"] == "C0SOC000001"
            for other in ("#incidents", "C0INCIDENT1"):
                with pytest.raises(Rejected, match="no channel"):
                    await slack.plan("post", {**POST, "channel": other}, ActionCall.bare())

    async def test_alert_text_cannot_mention_link_or_format(self) -> None:
        world = self.make_world()
        hostile = (
            "<!channel> <@U1> <https://evil.example|click> *bold* :tada: @here &lt;\u202etxt.exe"
        )
        async with self.open(world, Access.WRITE) as slack:
            await slack.apply(
                "post",
                await slack.plan("post", {**POST, "text": hostile}, ActionCall.bare()),
                ActionCall.bare(),
            )
        posted = world.messages["C0SOC000001"][-1]
        assert [block["text"]["type"] for block in posted["blocks"]] == ["plain_text"]
        for shown in (posted["text"], posted["blocks"][0]["text"]["text"]):
            assert not {"<", ">", "\u202e"} & set(shown)
            assert html.unescape(shown) == hostile.replace("\u202e", "\ufffd")

    async def test_longest_text_fits(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as slack:
            await slack.apply(
                "post",
                await slack.plan("post", {**POST, "text": "<" * 10_000}, ActionCall.bare()),
                ActionCall.bare(),
            )
        assert (
            "".join(block["text"]["text"] for block in world.messages["C0SOC000001"][-1]["blocks"])
            == "&lt;" * 10_000
        )

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("invalid_auth", Rejected),
            ("ratelimited", Unavailable),
            ("internal_error", Unknown),
            ("whatever", Rejected),
            ("not_in_channel", Rejected),
        ],
    )
    async def test_failure_under_http_200_is_a_failure(
        self, error: str, expected: type[ActionError]
    ) -> None:
        async with self.open(self.make_world(), Access.READ) as reader:
            planned_change = await reader.plan("post", POST, ActionCall.bare())
        async with open_connector(
            Slack, self.emulator.settings("http://127.0.0.1:1"), Access.WRITE, _failing(error)
        ) as slack:
            with pytest.raises(expected, match=error):
                await slack.apply("post", planned_change, ActionCall.bare())


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=400), st.integers(1, 25))
def test_any_alert_text_becomes_valid_blocks(text: str, times: int) -> None:
    whole = (text * times)[:10_000]
    cut = split_text(whole)
    assert all(0 < len(piece) <= 3000 for piece in cut)
    assert "".join(cut) == escape(whole)
    assert len(message(whole)["blocks"]) <= 50


def _add_messages(world: SlackEmulator, count: int) -> None:
    for _ in range(count):
        world.add_message("C0SOC000001", {"type": "message", "user": "U0ANALYST01", "text": "..."})


def _failing(error: str) -> httpx.MockTransport:
    """Return a Slack with an empty history that refuses every message."""

    def answer(request: httpx.Request) -> httpx.Response:
        fails: dict[str, Any] = {"ok": False, "error": error}
        return httpx.Response(
            200, json=fails if request.method == "POST" else {"ok": True, "messages": []}
        )

    return httpx.MockTransport(answer)
