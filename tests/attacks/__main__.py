"""Plays every attack and prints a table: `python -m tests.attacks [pytest arguments]`.

An attack is a test marked `attack("what the attacker does", before="what that achieved once")`,
in any folder of the tests. Exits 1 when one is not refused, or could not be played.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
_SEVERITY = ("refused", "not played", "SUCCEEDS")


class AttackTable:
    """A pytest plugin that keeps the marked tests only, and the outcome of each attack."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[str, str]] = {}
        self._outcomes: dict[tuple[str, str], str] = defaultdict(lambda: _SEVERITY[0])

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect the tests that play no attack."""
        kept = []
        for item in items:
            mark = item.get_closest_marker("attack")
            if mark is None:
                continue
            kept.append(item)
            self._marks[item.nodeid] = (mark.args[0], mark.kwargs["before"])
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of the tests that play one attack."""
        attack = self._marks[report.nodeid]
        now = _SEVERITY[2] if report.failed else _SEVERITY[1] if report.skipped else _SEVERITY[0]
        self._outcomes[attack] = max(self._outcomes[attack], now, key=_SEVERITY.index)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the attacks with what each achieved before and achieves now."""
        return [(*attack, now) for attack, now in sorted(self._outcomes.items())]


def main(arguments: list[str]) -> int:
    """Play the attacks and print what became of each."""
    table = AttackTable()
    code = pytest.main(["-p", "no:cacheprovider", str(TESTS), *arguments], plugins=[table])
    print("\n| attack | before | now |\n| --- | --- | --- |")
    for row in table.rows():
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    failed = sum(now != _SEVERITY[0] for *_, now in table.rows())
    print(f"\n{len(table.rows())} attacks, {failed} not refused")
    return 1 if failed or code != pytest.ExitCode.OK else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
