"""The VirusTotal connector beyond the contract: unknown and internal values."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest

from connectors.contract import HttpConnectorContract, Sample
from connectors.sdk.call import ActionCall
from connectors.sdk.transport import Access
from connectors.virustotal.client import url_id
from connectors.virustotal.connector import VirusTotal
from connectors.virustotal.emulator import VirusTotalEmulator
from orchestrator.domain.errors import Rejected, Unavailable

EICAR = "44d88612fea8a8f36de82e1278abb02f"


class TestVirusTotal(HttpConnectorContract):
    connector = VirusTotal
    emulator = VirusTotalEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "lookup_address": Sample({"address": "203.0.113.9"}),
        "lookup_domain": Sample({"domain": "c2.evil.example"}),
        "lookup_url": Sample({"url": "https://evil.example/a?b=c/d"}),
        "lookup_hash": Sample({"hash": EICAR}),
    }

    @pytest.mark.parametrize(
        ("action", "given", "malicious", "link"),
        [
            ("lookup_address", {"address": "203.0.113.9"}, 14, "ip-address/203.0.113.9"),
            ("lookup_address", {"address": "198.51.100.150"}, 0, "ip-address/198.51.100.150"),
            ("lookup_domain", {"domain": "C2.Evil.example."}, 23, "domain/c2.evil.example"),
            ("lookup_domain", {"domain": "example.org"}, 0, "domain/example.org"),
            ("lookup_hash", {"hash": "bad" + "0" * 61}, 48, "file/bad" + "0" * 61),
        ],
    )
    async def test_lookup_returns_counts_and_link(
        self, action: str, given: dict[str, str], malicious: int, link: str
    ) -> None:
        async with self.open(self.make_world(), Access.READ) as virustotal:
            verdict = await virustotal.read(action, given, ActionCall.bare())
        assert (verdict["known"], verdict["malicious"]) == (True, malicious)
        assert verdict["link"] == f"https://www.virustotal.com/gui/{link}"

    @pytest.mark.parametrize(
        ("action", "given"),
        [
            ("lookup_address", {"address": "203.0.113.201"}),
            ("lookup_address", {"address": "2001:db8::1"}),
            ("lookup_domain", {"domain": "brand-new.example"}),
            ("lookup_url", {"url": "http://brand-new.example/"}),
            ("lookup_hash", {"hash": "f" * 40}),
        ],
    )
    async def test_value_without_a_report_is_unknown_and_not_harmless(
        self, action: str, given: dict[str, str]
    ) -> None:
        async with self.open(self.make_world(), Access.READ) as virustotal:
            verdict = await virustotal.read(action, given, ActionCall.bare())
        assert verdict["known"] is False
        assert verdict["malicious"] == verdict["harmless"] == verdict["undetected"] == 0

    async def test_url_is_looked_up_by_its_identifier(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.READ) as virustotal:
            verdict = await virustotal.read(
                "lookup_url", {"url": "https://evil.example/a?b=c/d#e"}, ActionCall.bare()
            )
        assert verdict["malicious"] == 23
        assert world.requested == [f"url {url_id('https://evil.example/a?b=c/d')}"]
        assert "=" not in world.requested[0]

    @pytest.mark.parametrize(
        ("action", "given"),
        [
            ("lookup_address", {"address": "10.1.2.3"}),
            ("lookup_address", {"address": "fd00::1"}),
            ("lookup_address", {"address": "::ffff:192.168.0.1"}),
            ("lookup_domain", {"domain": "git.corp.example"}),
            ("lookup_domain", {"domain": "fileserver"}),
            ("lookup_url", {"url": "https://git.corp.example/reset?token=1"}),
            ("lookup_url", {"url": "https://git.corp.example./reset"}),
            ("lookup_url", {"url": "http://192.168.0.1/admin"}),
            ("lookup_url", {"url": "http://[fe80::1]/admin"}),
        ],
    )
    async def test_internal_values_are_not_sent(self, action: str, given: dict[str, str]) -> None:
        world = self.make_world()
        async with self.open(world, Access.READ, internal_domains=["corp.example"]) as virustotal:
            verdict = await virustotal.read(action, given, ActionCall.bare())
        assert verdict["known"] is False
        assert world.requested == []

    async def test_exhausted_quota_is_unavailable_for_a_minute(self) -> None:
        world = self.make_world()
        world.quota = 1
        async with self.open(world, Access.READ) as virustotal:
            assert await virustotal.check()
            with pytest.raises(Unavailable) as caught:
                await virustotal.read("lookup_hash", {"hash": EICAR}, ActionCall.bare())
        assert caught.value.retry_after == timedelta(minutes=1)

    async def test_missing_page_is_not_a_verdict(self) -> None:
        world = self.make_world()
        world.inject(kind="status", status=404)
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected, match="base_url"):
                await virustotal.read("lookup_hash", {"hash": EICAR}, ActionCall.bare())

    async def test_sha512_is_rejected_without_a_request(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected, match="SHA-512"):
                await virustotal.read("lookup_hash", {"hash": "a" * 128}, ActionCall.bare())
        assert world.requested == []

    async def test_submission_is_refused(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected):
                await virustotal.http.post("/api/v3/urls", data={"url": "https://evil.example/"})
        assert world.requested == []
