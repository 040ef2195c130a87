"""The table of containments is readable in 120 columns, whatever stands in it."""

from __future__ import annotations

import pytest

from orchestrator.cli.commands.respond.containment_table import WIDTH, print_containments

LEASE = {
    "run_id": "run_1",
    "path": "contain/block",
    "playbook": "c2-beacon-containment-of-every-host",
    "state": "live",
    "alert": "ET MALWARE \x1b[2JCobalt Strike [red]Beacon[/red] that goes on and on and on",
}
ITEM = {
    "id": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
    "connection": "firewall",
    "device": "firewall-01.berlin.example",
    "action": "block_address",
    "target": {"type": "address", "value": "2001:0db8:85a3:0000:0000:8a2e:0370:7334"},
    "state": "held",
    "ours": False,
    "drift": "gone",
    "failures": 2,
    "created_at": "2026-03-04T05:06:07+00:00",
    "expires_at": None,
    "lifted_at": None,
    "verified_at": None,
    "leases": [LEASE],
}


def test_no_line_is_longer_than_the_terminal_and_no_control_character_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_containments([ITEM, {**ITEM, "expires_at": "2026-03-05T05:06:07+00:00", "drift": None}])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= WIDTH
    assert "\x1b" not in out
    for part in ("6f1c0f2b", "gone", "foreign", "by hand", "03-05 05:06", "03-04 05:06", "2x"):
        assert part in out


def test_an_empty_list_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    print_containments([])
    assert capsys.readouterr().out == "none\n"
