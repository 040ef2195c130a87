"""A stack with short leases and questions, its senders and its people."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.harness.stack import Stack, attack_from, tocsin, until

HOLD_SECONDS = 90
PLAYBOOK = f"""\
playbook: chaos-block
version: 1
title: Block an address for a short time
owner: chaos
trigger: {{when: alert.class == 'brute_force', once_per: "${{{{ alert.remote.address }}}}"}}
steps:
  - id: verdict
    use: reputation.lookup_address
    with: {{address: "${{{{ alert.remote.address }}}}"}}
  - id: ticket
    use: tickets.open
    with: {{title: "Attack from ${{{{ alert.remote.address }}}}", description: chaos}}
  - id: block
    approve: {{when: steps.verdict.malicious == 0, question: "${{{{ changes }}}}?", within: 1h}}
    use: firewall.block_address
    with: {{address: "${{{{ alert.remote.address }}}}"}}
    for: {HOLD_SECONDS}s
  - id: never
    when: steps.verdict.malicious > 1000
    use: chat.post
    with: {{channel: soc, text: chaos}}
  - id: comment
    use: tickets.comment
    with: {{key: "${{{{ steps.ticket.key }}}}", text: "${{{{ steps.block.summary }}}}"}}
on_failure: roll_back
"""
POLICY = """\
protect: {hosts: [dc-01]}
approvals: {new_approvers_wait: 0s}
drift: {every: 1m, then: reapply}
"""
POINTS = Path(__file__).with_name("points")


class Arena:
    """The stack, and the addresses that alerts were accepted about."""

    def __init__(self, folder: Path, workers: int, seed: int) -> None:
        self.armed = folder / "armed"
        self.armed.mkdir(parents=True)
        path = os.pathsep.join(filter(None, (str(POINTS), os.environ.get("PYTHONPATH"))))
        self.stack = Stack(
            folder / "data",
            "--workers",
            str(workers),
            PYTHONPATH=path,
            PYTHON_CHAOS=str(self.armed),
            TOCSIN_RATE_LIMIT_SOURCE="0",
            TOCSIN_RATE_LIMIT_ADDRESS="0",
            TOCSIN_SOURCE_OPEN_RUNS="0",
        )
        self.accepted: dict[str, dict[str, Any]] = {}
        """What was answered, by address."""
        self.secret = self.approver = ""
        self._addresses = self._choose(random.Random(seed))
        self.no_more = threading.Event()
        self._ended = threading.Event()
        self._people = threading.Thread(target=self._answer, daemon=True)

    def start(self) -> None:
        """Start the stack with the playbook and the policy, and the people who answer."""
        self.stack.start()
        here = ("--data-dir", self.stack.folder)
        for name, text, command in (
            ("policy.yaml", POLICY, ("policy", "publish")),
            ("chaos-block.yaml", PLAYBOOK, ("playbook", "publish")),
        ):
            file = self.armed.parent / name
            file.write_text(text)
            done = tocsin(*command, file, *here)
            assert done.returncode == 0, done.stderr + done.stdout
        retired = tocsin("playbook", "retire", "brute-force-block@1", *here)
        assert retired.returncode == 0, retired.stderr + retired.stdout
        self.secret = self.stack.source("edge")
        self.approver = self._approver()
        self._people.start()

    def close(self) -> None:
        """End everything."""
        self._ended.set()
        if self._people.is_alive():
            self._people.join(30)
        self.stack.end()

    def send(self, at_least: int, pause: float) -> None:
        """Send alerts until `no_more` is set, each about its own address until it is accepted."""
        for number, address in enumerate(self._addresses):
            if number >= at_least and self.no_more.is_set():
                break
            body = attack_from(address)
            reply = until(lambda body=body: self._accepted(body), 120, f"a 202 about {address}")
            self.accepted[address] = reply.json()
            time.sleep(pause)  # the pace of the sender

    def _accepted(self, body: bytes) -> httpx.Response | None:
        reply = self.stack.send("edge", self.secret, body)
        if reply.status_code not in {200, 202}:  # 200: the answer of the first was lost
            return None
        return reply

    def signal(self, name: str, number: int) -> bool:
        """Send a signal to a program, if it runs. `supervisor` is what started the others."""
        process = self.stack.process
        assert process is not None
        pid = process.pid if name == "supervisor" else self.stack.children().get(name)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def is_ready(self) -> bool:
        """Return whether every program runs and the worker is polling."""
        return bool(self.stack.get("/readyz")["status"] == "ok")

    def has_ended(self, children: Collection[int]) -> bool:
        """Return whether the supervisor and what it had started are gone."""
        process = self.stack.process
        assert process is not None
        return process.poll() is not None and not any(
            Path(f"/proc/{pid}").exists() for pid in children
        )

    def revive(self) -> None:
        """Start the supervisor again, if it ended."""
        process = self.stack.process
        assert process is not None
        if process.poll() is not None:
            self.stack.start()

    @staticmethod
    def _choose(chosen: random.Random) -> Iterator[str]:
        """Yield addresses once each; the lab calls those below .100 malicious, and knows no other."""
        found = [f"203.0.113.{number}" for number in range(10, 250)]
        found += [f"198.51.100.{number}" for number in range(10, 250)]
        chosen.shuffle(found)
        yield from found

    def _answer(self) -> None:
        """Approve whatever is asked, again where the answer did not come."""
        while not self._ended.wait(0.3):
            with suppress(httpx.HTTPError, OSError, KeyError):
                for each in self.stack.get("/v1/approvals", state="pending")["items"]:
                    self._approve(each)

    def _approver(self) -> str:
        """Add a person who approves, and return the key."""
        admin = (self.stack.folder / "admin.key").read_text().strip()
        self._post(admin, "/v1/people", {"id": "ann"})
        asked = {"person": "ann", "roles": ["analyst", "approver"]}
        code = self._post(admin, "/v1/keys", asked)["enrolment_code"]
        return str(self._post(admin, "/v1/enrolments", {"code": code})["token"])

    def _approve(self, approval: dict[str, Any]) -> None:
        decision = {"decision": "approve", "digest": approval["digest"], "comment": "chaos"}
        self._post(self.approver, f"/v1/approvals/{approval['id']}/decide", decision)

    def _post(self, key: str, path: str, body: dict[str, Any]) -> Any:
        reply = httpx.post(
            f"http://127.0.0.1:{self.stack.port}{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=20,
        )
        return reply.raise_for_status().json()
