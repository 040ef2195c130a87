"""What the VirusTotal connector keeps beyond the contract: unseen is not harmless, and what is internal stays inside."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest

from connectors.sdk.call import Call
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.http import Access
from connectors.virustotal.connector import VirusTotal, url_id
from connectors.virustotal.emulator import VirusTotalEmulator
from orchestrator.domain.errors import Rejected, Unavailable

EICAR = "44d88612fea8a8f36de82e1278abb02f"


class TestVirusTotal(HttpConnectorContract):
    """Every promise of the contract."""

    connector = VirusTotal
    emulator = VirusTotalEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "lookup_address": Sample({"address": "203.0.113.9"}),
        "lookup_domain": Sample({"domain": "c2.evil.example"}),
        "lookup_url": Sample({"url": "https://evil.example/a?b=c/d"}),
        "lookup_hash": Sample({"hash": EICAR}),
    }

    def world(self) -> VirusTotalEmulator:
        """A fresh emulator."""
        return VirusTotalEmulator()

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
    async def test_what_the_engines_say_is_told(
        self, action: str, given: dict[str, str], malicious: int, link: str
    ) -> None:
        async with self.open(self.world(), Access.READ) as virustotal:
            verdict = await virustotal.read(action, given, Call.bare())
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
    async def test_what_nobody_has_seen_is_unknown_and_not_harmless(
        self, action: str, given: dict[str, str]
    ) -> None:
        async with self.open(self.world(), Access.READ) as virustotal:
            verdict = await virustotal.read(action, given, Call.bare())
        assert verdict["known"] is False
        assert verdict["malicious"] == verdict["harmless"] == verdict["undetected"] == 0

    async def test_a_url_is_asked_for_by_its_identifier(self) -> None:
        world = self.world()
        async with self.open(world, Access.READ) as virustotal:
            verdict = await virustotal.read(
                "lookup_url", {"url": "https://evil.example/a?b=c/d#e"}, Call.bare()
            )
        assert verdict["malicious"] == 23
        assert world.asked == [f"url {url_id('https://evil.example/a?b=c/d')}"]
        assert "=" not in world.asked[0]

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
    async def test_what_is_internal_is_never_sent_out(
        self, action: str, given: dict[str, str]
    ) -> None:
        world = self.world()
        async with self.open(world, Access.READ, internal_domains=["corp.example"]) as virustotal:
            verdict = await virustotal.read(action, given, Call.bare())
        assert verdict["known"] is False
        assert world.asked == []

    async def test_a_used_up_quota_is_unavailable_for_a_minute(self) -> None:
        world = self.world()
        world.quota = 1
        async with self.open(world, Access.READ) as virustotal:
            assert await virustotal.check()
            with pytest.raises(Unavailable) as caught:
                await virustotal.read("lookup_hash", {"hash": EICAR}, Call.bare())
        assert caught.value.retry_after == timedelta(minutes=1)

    async def test_a_missing_page_is_not_taken_for_a_verdict(self) -> None:
        world = self.world()
        world.inject(kind="status", status=404)
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected, match="base_url"):
                await virustotal.read("lookup_hash", {"hash": EICAR}, Call.bare())

    async def test_a_sha512_is_rejected_before_anything_is_asked(self) -> None:
        world = self.world()
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected, match="SHA-512"):
                await virustotal.read("lookup_hash", {"hash": "a" * 128}, Call.bare())
        assert world.asked == []

    async def test_nothing_is_ever_submitted(self) -> None:
        world = self.world()
        async with self.open(world, Access.READ) as virustotal:
            with pytest.raises(Rejected):
                await virustotal.http.post("/api/v3/urls", data={"url": "https://evil.example/"})
        assert world.asked == []
