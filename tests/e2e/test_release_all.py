"""The end of an installation: everything is released, and what stays on devices is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.harness.stack import Stack, attack_from, tocsin

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("end") / "data")
    stack.start()
    yield stack
    stack.end()


def _release(stack: Stack, within: str) -> tuple[int, dict[str, list[object]]]:
    done = tocsin(
        "containment", "release", "--all", "--within", within, "--json", "--data-dir", stack.folder
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_a_device_refuses_to_lift_is_listed_and_all_else_is_released(stack: Stack) -> None:
    secret = stack.source("edge")
    assert stack.run_of(stack.send("edge", secret, attack_from("203.0.113.10")).json())
    faults = f"http://127.0.0.1:{stack.listening['lab']}/_lab/faults"
    broken = {"emulator": "palo_alto", "kind": "status", "status": 503, "times": 1000}
    httpx.post(faults, json=broken, timeout=20).raise_for_status()
    code, found = _release(stack, "1s")
    assert code == 1
    assert [each["connection"] for each in found["in_force"]] == ["firewall"]  # type: ignore[index]
    httpx.delete(faults, timeout=20).raise_for_status()
    code, found = _release(stack, "2m")
    assert found["in_force"] == []
    assert all(not each["orphans"] for each in found["devices"])  # type: ignore[index]
    assert code == int(not all(each["listed"] for each in found["devices"]))  # type: ignore[index]
    assert "203.0.113.10" not in json.dumps(stack.lab()["palo_alto"]["in_force"])
