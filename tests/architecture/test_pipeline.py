"""What `make test` leaves out is played by `.ci/run`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_marked_tests_that_make_leaves_out_are_a_part_of_the_pipeline() -> None:
    recipes = dict(
        re.findall(
            r"^([a-z-]+): setup-dev\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
    )
    left_out = re.findall(r"-m 'not (\w+)'", recipes["test"])
    assert left_out
    pipeline = (ROOT / ".ci" / "run").read_text().splitlines()
    for marker in left_out:
        (target,) = [name for name, recipe in recipes.items() if f"-m {marker} " in recipe]
        assert f"part make {target}" in pipeline
