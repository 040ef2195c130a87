"""The rows of containments, whatever stands in them."""

from __future__ import annotations

import pytest

from orchestrator.cli.commands.respond.containment_rows import COLUMNS, OPTIONAL, containment_rows
from orchestrator.cli.tables import print_table

LEASE = {
    "run_id": "run_1",
    "path": "contain/block",
    "playbook": "c2-beacon-containment-of-every-host",
    "state": "live",
    "reason": None,
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


def test_row_says_what_stands_since_when_and_why_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends = {**ITEM, "expires_at": "2026-03-05T05:06:07+00:00", "drift": None}
    print_table(containment_rows([ITEM, ends]), COLUMNS)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    first, second = out.splitlines()[1:]
    for part in ("6f1c0f2b", "held, gone, foreign, 2x", "by hand", "03-04 05:06", "[red]Beacon"):
        assert part in first
    assert "03-05 05:06" in second
    assert "gone" not in second


@pytest.mark.usefixtures("terminal")
def test_narrow_terminal_shows_what_is_contained_why_and_until_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lease = {**LEASE, "alert": "ET MALWARE Cobalt Strike Beacon"}
    held = {
        **ITEM,
        "target": {"type": "address", "value": "198.51.100.121"},
        "drift": None,
        "ours": True,
        "failures": 0,
        "expires_at": "2031-03-05T05:06:07+00:00",
        "verified_at": "2026-03-04T05:06:07+00:00",
        "leases": [lease],
    }
    print_table(containment_rows([held]), COLUMNS, optional=OPTIONAL)
    heading, line = capsys.readouterr().out.splitlines()
    assert len(line) <= 100
    assert "198.51.100.121 block" in line
    assert "ET MALWARE Cobalt" in line
    assert "2031-03-05 06:06" in line
    assert "verified" not in heading


def test_what_never_ends_by_itself_is_said() -> None:
    (row,) = containment_rows([{**ITEM, "leases": []}])
    assert (row["until"], row["by"], row["why"]) == ("now", [], None)


def test_reason_of_a_containment_by_hand_is_its_why() -> None:
    lease = {**LEASE, "playbook": "contain-by-hand", "path": "contain", "alert": None}
    by_hand = {**lease, "reason": "scans our mail server"}
    rows = containment_rows([{**ITEM, "leases": [by_hand]}, {**ITEM, "leases": [lease]}])
    assert [row["why"] for row in rows] == ["scans our mail server", "contain"]
