"""The PAN-OS connector beyond the contract: errors under HTTP 200, commit locks and jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import httpx
import pytest

from connectors.contract import HttpConnectorContract, Sample
from connectors.palo_alto import xml
from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.palo_alto.planned_changes import covering, network_of, object_name
from connectors.sdk.call import ActionCall
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown

ADDRESS, NETWORK = {"address": "198.51.100.7"}, {"network": "203.0.113.0/24"}


def _tagged(world: Any) -> None:
    world.tags["198.51.100.7"] = ["tocsin-blocked", "tocsin-0123456789abcdef", "other"]


def _grouped(world: Any) -> None:
    for configuration in (world.candidate, world.running):
        configuration.objects["tocsin-net-203.0.113.0_24"] = ["203.0.113.0/24", "by hand"]
        configuration.groups["tocsin-blocked-networks"].append("tocsin-net-203.0.113.0_24")


class TestPaloAlto(HttpConnectorContract):
    connector = PaloAlto
    emulator = PaloAltoEmulator
    samples: ClassVar = {
        "block_address": Sample(ADDRESS),
        "unblock_address": Sample(ADDRESS, _tagged),
        "block_network": Sample(NETWORK),
        "unblock_network": Sample(NETWORK, _grouped),
    }

    async def test_commit_waits_for_a_lock_and_commits_once(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, ActionCall.bare())
            world.commit_locks = 1
            with pytest.raises(Unavailable, match="locked") as caught:
                await connector.apply("block_network", planned_change, ActionCall.bare())
            assert caught.value.retry_after is not None
            assert (await connector.plan("block_network", NETWORK, ActionCall.bare()))[
                "changed"
            ] is True
            await connector.apply("block_network", planned_change, ActionCall.bare())
        assert world.in_force()["networks"] == ["203.0.113.0/24"]
        assert [effect for effect in world.effects if effect["action"] == "commit"] == [
            {"action": "commit", "target": "job 1", "key": ActionCall.bare().tag, "count": 1}
        ]

    async def test_failed_commit_leaves_nothing_in_the_candidate(self) -> None:
        world = self.make_world()
        before = world.candidate.dump()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, ActionCall.bare())
            world.failing_commits = 1
            with pytest.raises(Rejected, match="commit job 1 failed: Validation error"):
                await connector.apply("block_network", planned_change, ActionCall.bare())
        assert world.candidate.dump() == before

    async def test_retry_after_crash_waits_for_the_started_job(
        self,
    ) -> None:
        world, beats = self.make_world(), list[Any]()
        call = replace(ActionCall.bare(), heartbeat=beats.append)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, call)
            world.inject(kind="status", status=503, when="after", match="jobs")
            with pytest.raises(Unavailable):
                await connector.apply("block_network", planned_change, call)
            assert beats == [{"job": "1"}]
            await connector.apply("block_network", planned_change, replace(call, resume=beats[-1]))
        assert world.in_force()["networks"] == ["203.0.113.0/24"]
        assert list(world.jobs) == ["1"]

    async def test_endless_job_is_unknown(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE, commit_timeout_seconds=0.000001) as connector:
            planned_change = await connector.plan("block_network", NETWORK, ActionCall.bare())
            with pytest.raises(Unknown, match="commit job 1 did not end"):
                await connector.apply("block_network", planned_change, ActionCall.bare())

    async def test_network_within_a_blocked_one_has_its_own_object_and_outlives_it(self) -> None:
        world = self.make_world()
        _grouped(world)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(
                "block_network", {"network": "203.0.113.64/26"}, ActionCall.bare()
            )
            assert "already blocked as part of 203.0.113.0/24" in planned_change["summary"]
            await connector.apply("block_network", planned_change, ActionCall.bare())
            with pytest.raises(Rejected, match=r"part of 203\.0\.113\.0/24"):
                await connector.plan(
                    "unblock_network", {"network": "203.0.113.64/26"}, ActionCall.bare()
                )
            wider = await connector.plan("unblock_network", NETWORK, ActionCall.bare())
            await connector.apply("unblock_network", wider, ActionCall.bare())
        assert world.in_force()["networks"] == ["203.0.113.64/26"]

    async def test_networks_are_refused_without_an_administrator(self) -> None:
        async with self.open(self.make_world(), Access.READ, admin=None) as connector:
            with pytest.raises(Rejected, match="set `admin`"):
                await connector.plan("block_network", NETWORK, ActionCall.bare())
            assert "addresses only" in await connector.check()

    async def test_missing_group_is_reported_with_the_fix(self) -> None:
        async with self.open(
            self.make_world(), Access.READ, network_group="elsewhere"
        ) as connector:
            with pytest.raises(Rejected, match="create it"):
                await connector.check()

    async def test_block_carries_the_tag_of_the_call_and_keeps_other_tags(self) -> None:
        world, call = self.make_world(), ActionCall.bare("step-9")
        world.tags["198.51.100.7"] = ["vip"]
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_address", ADDRESS, call)
            await connector.apply("block_address", planned_change, call)
            assert world.tags["198.51.100.7"] == ["vip", "tocsin-blocked", call.tag]
            await connector.undo("block_address", planned_change, call)
        assert world.tags == {"198.51.100.7": ["vip"]}

    async def test_ipv6_address_is_blocked(self) -> None:
        world, given = self.make_world(), {"address": "2001:DB8::1"}
        async with self.open(world, Access.WRITE) as connector:
            await connector.apply(
                "block_address",
                await connector.plan("block_address", given, ActionCall.bare()),
                ActionCall.bare(),
            )
        assert world.in_force()["addresses"] == ["2001:db8::1"]


def _request(
    method: str, query: str, body: str = "", kind: str = "application/x-www-form-urlencoded"
) -> httpx.Request:
    return httpx.Request(
        method,
        f"https://fw.example/api/?{query}",
        content=body.encode(),
        headers={"Content-Type": kind},
    )


SHOW = "type=op&cmd=%3Cshow%3E%3Csystem%3E%3Cinfo/%3E%3C/system%3E%3C/show%3E"


@pytest.mark.parametrize(
    ("query", "body", "read"),
    [
        (SHOW, "", True),
        ("", SHOW, True),
        ("type=config&action=get&xpath=/config", "", True),
        ("type=config", "action=show&xpath=/config", True),
        ("type=config&action=set&xpath=/config", "", False),
        ("type=config", "action=delete", False),
        ("type=config&action=get", "action=set", False),
        ("type=config&action=get&action=set", "", False),
        ("type=commit&cmd=%3Ccommit/%3E", "", False),
        ("type=user-id&cmd=%3Cuid-message/%3E", "", False),
        ("type=op&cmd=%3Crequest%3E%3Crestart/%3E%3C/request%3E", "", False),
        ("type=op&cmd=%3Cdelete/%3E%3Cshow/%3E", "", False),
        ("type=op&cmd=show", "", False),
        ("type=keygen&user=a&password=b", "", False),
        ("type=import", "", False),
        ("", "", False),
    ],
)
def test_parameters_and_not_the_method_decide_what_is_a_read(
    query: str, body: str, read: bool
) -> None:
    assert PaloAlto.is_read(_request("GET", query, body)) is read
    assert PaloAlto.is_read(_request("POST", query, body)) is read


def test_body_that_is_not_a_form_is_not_a_read() -> None:
    assert (
        PaloAlto.is_read(
            _request("POST", "type=config&action=get", "action=set", "multipart/form-data")
        )
        is False
    )


def _reply(body: str, *, writes: bool = True) -> HttpReply:
    return HttpReply(200, httpx.Headers(), body.encode(), _request("POST", ""), writes=writes)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            '<response status="error" code="12"><msg><line>invalid value</line></msg></response>',
            Rejected,
        ),
        (
            '<response status="error" code="16"><msg><line>unauthorized</line></msg></response>',
            Rejected,
        ),
        ('<response status="unauth" code="16"><msg>no</msg></response>', Rejected),
        (
            '<response status="error"><msg><line>Config for scope vsys1 is currently locked by bob</line></msg></response>',
            Unavailable,
        ),
        (
            '<response status="error" code="13"><msg><line>Another commit/validate is in progress</line></msg></response>',
            Unavailable,
        ),
        ('<response status="error" code="21"><msg><line>internal</line></msg></response>', Unknown),
        ('<response status="error"/>', Rejected),
        ('<response status="perhaps"/>', Unknown),
        ("<html/>", Unknown),
        ("", Unknown),
        ('<!DOCTYPE r [<!ENTITY a "b">]><response status="success"/>', Unknown),
    ],
)
def test_error_under_http_200_is_an_error(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        xml.parse_success(_reply(body))


def test_already_exists_is_a_success_only_as_the_sole_message() -> None:
    def answer(*messages: str) -> HttpReply:
        entries = "".join(f'<entry message="{message}"/>' for message in messages)
        return _reply(
            f'<response status="error"><msg><line><uid-response>{entries}</uid-response></line></msg></response>'
        )

    already = "tag a already exists, ignore"
    xml.parse_success(answer(already, already), ignore=("already exists, ignore",))
    with pytest.raises(Rejected, match="limit reached"):
        xml.parse_success(answer(already, "limit reached"), ignore=("already exists, ignore",))
    with pytest.raises(Rejected):
        xml.parse_success(answer(already))


def test_command_text_is_escaped() -> None:
    assert "<member>&lt;/member&gt;</member>" in xml.write(xml.element("member", text="</member>"))


@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "203.0.113.0/24", "::/0", "2001:db8::/32", "2001:db8:1:2:3:4:5:6/128"]
)
def test_object_name_is_valid_and_unique_per_network(network: str) -> None:
    name = object_name(network)
    assert len(name) <= 63
    assert all(character.isalnum() or character in "-_." for character in name)
    assert str(network_of(name)) == network
    assert covering(network, ("something-else", name)) == network


def test_foreign_objects_are_not_networks_of_this_connector() -> None:
    assert network_of("tocsin-placeholder") is None
    assert network_of("tocsin-net-office") is None
    assert covering("203.0.113.0/24", ("tocsin-net-office", "tocsin-net---_0")) is None
