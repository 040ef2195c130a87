"""What the Slack connector keeps beyond the contract: one message, failures under HTTP 200, and an alert's text as text."""

from __future__ import annotations

import html
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sdk.call import Call
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.http import Access
from connectors.sdk.open import open_connector
from connectors.slack.connector import Slack
from connectors.slack.emulator import SlackEmulator
from connectors.slack.text import escaped, message, pieces
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

WISH = {"channel": "#soc", "text": "ws-042 is isolated."}


class TestSlack(HttpConnectorContract):
    """Every promise of the contract."""

    connector = Slack
    emulator = SlackEmulator
    samples: ClassVar[dict[str, Sample]] = {"post": Sample(WISH)}

    def world(self) -> SlackEmulator:
        """A fresh emulator."""
        return SlackEmulator()

    async def test_a_message_is_found_behind_a_thousand_newer_ones(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as slack:
            planned_change = await slack.plan("post", WISH, Call.bare())
            _talk(world, 450)
            output = await slack.apply("post", planned_change, Call.bare())
            _talk(world, 1000)
            assert await slack.apply("post", planned_change, Call.bare()) == output
            assert (await slack.plan("post", WISH, Call.bare()))["changed"] is False

    async def test_two_steps_post_two_messages(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as slack:
            for key in ("one", "two"):
                await slack.apply(
                    "post", await slack.plan("post", WISH, Call.bare(key)), Call.bare(key)
                )
        assert world.in_force()["#soc"][1:] == [WISH["text"]] * 2

    @pytest.mark.parametrize("channel", ["#soc", "soc", "C0SOC000001"])
    async def test_a_channel_may_be_named_or_given_by_id(self, channel: str) -> None:
        async with self.open(self.world(), Access.READ) as slack:
            planned_change = await slack.plan("post", {**WISH, "channel": channel}, Call.bare())
        assert planned_change["channel"] == "C0SOC000001"

    @pytest.mark.parametrize(
        ("channel", "mend"),
        [
            ("#nowhere", "invite the app"),
            ("#general", "invite the app"),
            ("#old-war-room", "no channel"),
            ("C0OLDWAR001", "archived"),
            ("U0ANALYST01", "no channel"),
        ],
    )
    async def test_a_channel_that_cannot_be_written_to_is_rejected_with_the_mend(
        self, channel: str, mend: str
    ) -> None:
        async with self.open(self.world(), Access.READ) as slack:
            with pytest.raises(Rejected, match=mend):
                await slack.plan("post", {**WISH, "channel": channel}, Call.bare())

    async def test_only_the_configured_channels_exist_when_there_are_any(self) -> None:
        async with self.open(self.world(), Access.READ, channels={"soc": "C0SOC000001"}) as slack:
            assert (await slack.plan("post", WISH, Call.bare()))["channel"] == "C0SOC000001"
            for other in ("#incidents", "C0INCIDENT1"):
                with pytest.raises(Rejected, match="no channel"):
                    await slack.plan("post", {**WISH, "channel": other}, Call.bare())

    async def test_an_alerts_text_cannot_mention_link_or_format(self) -> None:
        world = self.world()
        hostile = (
            "<!channel> <@U1> <https://evil.example|click> *bold* :tada: @here &lt;\u202etxt.exe"
        )
        async with self.open(world, Access.WRITE) as slack:
            await slack.apply(
                "post",
                await slack.plan("post", {**WISH, "text": hostile}, Call.bare()),
                Call.bare(),
            )
        posted = world.messages["C0SOC000001"][-1]
        assert [block["text"]["type"] for block in posted["blocks"]] == ["plain_text"]
        for shown in (posted["text"], posted["blocks"][0]["text"]["text"]):
            assert not {"<", ">", "\u202e"} & set(shown)
            assert html.unescape(shown) == hostile.replace("\u202e", "\ufffd")

    async def test_a_longest_text_fits(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as slack:
            await slack.apply(
                "post",
                await slack.plan("post", {**WISH, "text": "<" * 10_000}, Call.bare()),
                Call.bare(),
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
    async def test_a_failure_with_http_200_is_a_failure(
        self, error: str, expected: type[ActionError]
    ) -> None:
        async with self.open(self.world(), Access.READ) as reader:
            planned_change = await reader.plan("post", WISH, Call.bare())
        async with open_connector(
            Slack, self.emulator.settings("http://127.0.0.1:1"), Access.WRITE, _failing(error)
        ) as slack:
            with pytest.raises(expected, match=error):
                await slack.apply("post", planned_change, Call.bare())


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=400), st.integers(1, 25))
def test_whatever_an_alert_says_becomes_blocks_that_slack_takes(text: str, times: int) -> None:
    whole = (text * times)[:10_000]
    cut = pieces(whole)
    assert all(0 < len(piece) <= 3000 for piece in cut)
    assert "".join(cut) == escaped(whole)
    assert len(message(whole)["blocks"]) <= 50


def _talk(world: SlackEmulator, count: int) -> None:
    for _ in range(count):
        world.say("C0SOC000001", {"type": "message", "user": "U0ANALYST01", "text": "..."})


def _failing(error: str) -> httpx.MockTransport:
    """Slack with an empty history that refuses every message."""

    def answer(request: httpx.Request) -> httpx.Response:
        fails: dict[str, Any] = {"ok": False, "error": error}
        return httpx.Response(
            200, json=fails if request.method == "POST" else {"ok": True, "messages": []}
        )

    return httpx.MockTransport(answer)
