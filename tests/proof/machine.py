"""The state machine: hypothesis chooses deeds in any order, and the laws are checked at each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.proof.crashes import MOMENTS, SLOW
from tests.proof.edge import addresses
from tests.proof.model import ProofTarget
from tests.proof.play import ProofPlay
from tests.proof.playbooks import LASTING, PATIENT, SHARING, VARIANTS
from tests.proof.stage import ProofStage

SYSTEMS = ("firewall", "firewall", "edr")
OVERLAPPING = ("/30", "/31", "/32")
"""Networks on the edge firewall, each within the one before."""
LENGTHS = (timedelta(minutes=40), timedelta(hours=3), timedelta(hours=20))
PAUSES = (timedelta(minutes=30), timedelta(hours=1.5), timedelta(hours=4), timedelta(hours=9))
DEED_SECONDS = 90.0
"""Seconds of real time for one deed. All take less than ten, unless the test server hangs."""
numbers = st.integers(0, 2)
often_quiet = st.sampled_from((True, True, False))


class SharedStage:
    """The stage of this process, opened for the first sequence.

    A sequence during which Temporal's test server hangs is given up and counted apart, and the next
    one gets a new stage.
    """

    def __init__(self) -> None:
        self.played = 0
        self.begun = 0
        self.deeds: list[str] = []
        self.failures: list[tuple[str, tuple[str, ...]]] = []  # what broke, after which deeds
        self.hung: list[str] = []  # where the test server hung
        self.is_real = False  # on which server
        self.with_slow_calls = False
        self._runner: asyncio.Runner | None = None
        self._folder: Path | None = None
        self.stage: ProofStage

    def do(self, deed: Coroutine[Any, Any, None], seconds: float = DEED_SECONDS) -> None:
        """Run a deed on the event loop of this process. Raise TimeoutError after `seconds`."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(_within(deed, seconds))

    async def get(self) -> ProofStage:
        """Return the stage, opened if necessary."""
        if self._folder is None:
            memory = Path("/dev/shm")  # a real store on a fast disk, where it exists
            self._folder = Path(
                tempfile.mkdtemp(prefix="tocsin-proof-", dir=memory if memory.is_dir() else None)
            )
            self.stage = ProofStage(self._folder, is_real=self.is_real)
            await self.stage.open()
        return self.stage

    async def shut(self) -> None:
        """Close the stage, whether its server answers or not."""
        folder, self._folder = self._folder, None
        if folder is not None:
            await self.stage.close()
            shutil.rmtree(folder)

    def close(self) -> None:
        """Close everything at the end of the process."""
        if self._runner is not None:
            self.do(self.shut())
            self._runner.close()
        self._runner = None


async def _within(deed: Coroutine[Any, Any, None], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await deed


SHARED_STAGE = SharedStage()


class ContainmentSequences(RuleBasedStateMachine):
    """A sequence over three targets that all runs share."""

    def __init__(self) -> None:
        super().__init__()
        self.play: ProofPlay
        self.sound = False
        SHARED_STAGE.begun += 1
        SHARED_STAGE.deeds = []
        SHARED_STAGE.do(self._begin())

    async def _begin(self) -> None:
        number = SHARED_STAGE.begun
        stage = await SHARED_STAGE.get()
        await stage.begin()
        names = [f"198.18.{number // 100 % 256}.{number % 100 * 2 + each}" for each in (0, 1)] + [
            f"ws-{number}"
        ]
        stage.devices["edr"].add_host(f"{number + 1_000:032x}", names[2])  # type: ignore[union-attr]
        self.targets = [
            ProofTarget(name, system) for name, system in zip(names, SYSTEMS, strict=True)
        ]
        if number % 2 == 0:  # every second sequence is about overlaps
            first = f"198.19.{number // 64 % 256}.{number % 64 * 4}"
            self.targets = [ProofTarget(f"{first}{size}", "edge") for size in OVERLAPPING]
        self.play = ProofPlay(stage, self.targets)
        self.sound = True

    @rule(number=numbers, way=st.sampled_from(VARIANTS), quiet=often_quiet)
    def start(self, number: int, way: Any, quiet: bool) -> None:
        self._do(
            f"start {way.name} {number}", self.play.start(self.targets[number], way), quiet=quiet
        )

    @rule(number=numbers, way=st.sampled_from(VARIANTS), quiet=often_quiet)
    def start_more(self, number: int, way: Any, quiet: bool) -> None:
        """Start another run, so that runs share targets."""
        self._do(
            f"start {way.name} {number}", self.play.start(self.targets[number], way), quiet=quiet
        )

    @rule(number=numbers, way=st.sampled_from(VARIANTS), quiet=often_quiet)
    def start_deferred(self, number: int, way: Any, quiet: bool) -> None:
        deed = self.play.start_deferred([self.targets[number], self.targets[number - 1]], way)
        self._do(f"start {way.name} {number} and {number - 1}, deferred", deed, quiet=quiet)

    @precondition(lambda _: SHARED_STAGE.with_slow_calls)
    @rule(
        number=numbers,
        first=st.sampled_from(SHARING),
        second=st.sampled_from(SHARING),
        quiet=often_quiet,
    )
    def start_two(self, number: int, first: Any, second: Any, quiet: bool) -> None:
        """Let two runs contain the same target while the first one's call takes long."""
        deed = self.play.start_two(self.targets[number], first, second)
        self._do(f"start {first.name} and {second.name} {number}, slow", deed, quiet=quiet)

    @precondition(lambda self: SHARED_STAGE.with_slow_calls and self._has_runs())
    @rule(number=numbers, way=st.sampled_from(SHARING), quiet=often_quiet)
    def start_during_release(self, number: int, way: Any, quiet: bool) -> None:
        target = self._one_held(number)
        deed = self.play.start_during_release(target, way)
        self._do(f"start {way.name} while {target.name} is slowly released", deed, quiet=quiet)

    @precondition(lambda _: SHARED_STAGE.with_slow_calls)
    @rule(number=numbers, way=st.sampled_from(SHARING), quiet=often_quiet)
    def release_during_start(self, number: int, way: Any, quiet: bool) -> None:
        deed = self.play.release_during_start(self.targets[number], way)
        self._do(f"release {number} while it is slowly contained", deed, quiet=quiet)

    @precondition(lambda self: SHARED_STAGE.with_slow_calls and self._has_runs())
    @rule(first=numbers, second=numbers, quiet=often_quiet)
    def release_during_release(self, first: int, second: int, quiet: bool) -> None:
        deed = self.play.release_during_release(self.targets[first], self.targets[second])
        self._do(f"release {second} while {first} is slowly released", deed, quiet=quiet)

    @precondition(lambda _: SHARED_STAGE.with_slow_calls)
    @rule(numbers=st.sampled_from(((0, 1), (1, 0))), way=st.sampled_from(SHARING))
    def start_refused(self, numbers: tuple[int, int], way: Any) -> None:
        first, second = (self.targets[number] for number in numbers)
        deed = self.play.start_refused(first, second, way)
        self._do(f"start {way.name} {numbers}, slow and refused", deed, quiet=True)

    @rule(number=numbers, quiet=often_quiet)
    def cancel_while_away(self, number: int, quiet: bool) -> None:
        deed = self.play.cancel_while_away(self.targets[number], PATIENT)
        self._do(f"cancel {PATIENT.name} {number} while away", deed, quiet=quiet)

    @rule(quiet=often_quiet)
    def start_both(self, quiet: bool) -> None:
        self._do("start both", self.play.start_both(self.targets[0], self.targets[1]), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers, quiet=often_quiet)
    def restore(self, number: int, quiet: bool) -> None:
        target = self._one_held(number)
        self._do(f"restore {target.name}", self.play.restore(target), quiet=quiet)

    @rule(number=numbers, way=st.sampled_from(SHARING), quiet=often_quiet)
    def contain_and_restore(self, number: int, way: Any, quiet: bool) -> None:
        """Restore what has just been contained; alone, restores rarely meet a target that is held."""
        target = self.targets[number]
        self._do("policy allow True", self.play.publish("allow", reapply=True), quiet=True)
        self._do(f"start {way.name} {number}", self.play.start(target, way), quiet=True)
        self._do(f"restore {target.name}", self.play.restore(target), quiet=True)
        self._do("approve restores", self.play.approve_restores(), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers, quiet=often_quiet)
    def release(self, number: int, quiet: bool) -> None:
        target = self._one_held(number)
        self._do(f"release {target.name}", self.play.release(target), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(quiet=often_quiet)
    def release_all(self, quiet: bool) -> None:
        self._do("release all", self.play.release_all(), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers, length=st.sampled_from(LENGTHS), quiet=often_quiet)
    def change(self, number: int, length: timedelta, quiet: bool) -> None:
        target = self._one_held(number)
        self._do(f"end {target.name} in {length}", self.play.change(target, length), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(by=st.sampled_from(PAUSES))
    def pass_time(self, by: timedelta) -> None:
        self._do(f"pass {by}", self.play.pass_time(by), quiet=True)

    @precondition(lambda self: self._has_runs())
    @rule(by=st.sampled_from(PAUSES))
    def pass_more_time(self, by: timedelta) -> None:
        """Let leases end."""
        self._do(f"pass {by}", self.play.pass_time(by), quiet=True)

    @precondition(lambda self: self._has_runs())
    @rule(number=st.integers(0, 5), quiet=often_quiet)
    def cancel(self, number: int, quiet: bool) -> None:
        if runs := [run for run in self.play.model.runs.values() if run.open]:
            run = runs[number % len(runs)]
            self._do(f"cancel {run.way.name}", self.play.cancel(run), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(
        number=numbers,
        how=st.sampled_from(("approve", "approve", "approve", "decline", "subset", "forged")),
        quiet=often_quiet,
    )
    def answer(self, number: int, how: str, quiet: bool) -> None:
        self._do(f"answer {how}", self.play.answer(number, how), quiet=quiet)

    @rule()
    def kill(self) -> None:
        self._do("kill switch", self.play.kill(), quiet=True)

    @rule(
        verdict=st.sampled_from(("allow", "ask", "deny")), reapply=st.booleans(), quiet=often_quiet
    )
    def policy(self, verdict: str, reapply: bool, quiet: bool) -> None:
        self._do(
            f"policy {verdict} {reapply}", self.play.publish(verdict, reapply=reapply), quiet=quiet
        )

    @precondition(lambda self: self._has_runs())
    @rule(system=st.sampled_from(("firewall", "edr")), moment=st.sampled_from(MOMENTS))
    def crash(self, system: str, moment: Any) -> None:
        system = self._system(system)
        self._note(f"crash {system} {moment}")
        self.play.crash(system, moment)

    @precondition(lambda self: SHARED_STAGE.with_slow_calls and self._has_runs())
    @rule(system=st.sampled_from(("firewall", "edr")), moment=st.sampled_from(SLOW))
    def slow(self, system: str, moment: Any) -> None:
        system = self._system(system)
        self._note(f"slow {system} {moment}")
        self.play.slow(system, moment)

    @precondition(lambda self: self._has_runs())
    @rule(
        system=st.sampled_from(("firewall", "edr")), kind=st.sampled_from(("lost_reply", "silent"))
    )
    def fault(self, system: str, kind: str) -> None:
        system = self._system(system)
        self._note(f"fault {system} {kind}")
        self.play.fault(system, kind)

    @rule(system=st.sampled_from(("firewall", "edr")))
    def refuse(self, system: str) -> None:
        system = self._system(system)
        self._note(f"refuse {system}")
        self.play.refuse(system)

    @rule(number=numbers)
    def by_hand(self, number: int) -> None:
        """Contain by hand, also where Tocsin contained and released before."""
        target = self.targets[number]
        if self._has_runs():
            self._do(f"release {number}", self.play.release(target), quiet=True)
        if not self._shown(target) and not target.by_hand and self._untouched(target):
            self._note(f"by hand {number}")
            self.play.by_hand(target)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers)
    def forget(self, number: int) -> None:
        self._forget(number)

    def _forget(self, number: int) -> None:
        target = self.targets[number]
        ours = target.system == "edge" or self.play.stage.journal.of(target.name)[-1:] == ["up"]
        if ours and self._shown(target) and target.is_held(self.play.stage.clock.now()):
            self._note(f"forget {number}")
            self.play.forget(target)

    @rule(number=numbers, reapply=st.booleans())
    def contain_and_forget(self, number: int, reapply: bool) -> None:
        """Lose what has just been contained, and wait for the drift check."""
        target = self.targets[number]
        self._do(f"policy allow {reapply}", self.play.publish("allow", reapply=reapply), quiet=True)
        self._do(f"start wait {number}", self.play.start(target, LASTING), quiet=True)
        self._forget(number)
        self._do("pass 3 h", self.play.pass_time(timedelta(hours=3)), quiet=True)

    def teardown(self) -> None:
        try:
            if self.sound:
                self._do("end", self.play.end(), quiet=False)
                SHARED_STAGE.played += self.sound
        finally:
            SHARED_STAGE.do(SHARED_STAGE.stage.end() if self.sound else SHARED_STAGE.shut())

    def _do(self, what: str, deed: Coroutine[Any, Any, None], *, quiet: bool) -> None:
        if not self.sound:
            deed.close()
            # Given up. The rest is drawn but not done, so that hypothesis sees the same choices.
            return
        self._note(what if quiet else f"{what} (and on)")
        self.sound = False
        try:
            SHARED_STAGE.do(self._run_deed(deed, quiet=quiet))
        except TimeoutError as hung:
            SHARED_STAGE.hung.append(
                f"{hung or 'a deed took too long'}, after {', '.join(SHARED_STAGE.deeds)}"
            )
            return
        except Exception as error:
            SHARED_STAGE.failures.append(
                (f"{type(error).__name__}: {error}", tuple(SHARED_STAGE.deeds))
            )
            raise
        self.sound = True

    async def _run_deed(self, deed: Coroutine[Any, Any, None], *, quiet: bool) -> None:
        await deed
        self.play.look()
        self.play.laws.check_kept()
        if quiet:
            await self.play.settle()

    def _note(self, what: str) -> None:
        SHARED_STAGE.deeds.append(what)

    def _one_held(self, number: int) -> ProofTarget:
        now = self.play.stage.clock.now()
        held = [target for target in self.targets if target.is_held(now)] or self.targets
        return held[number % len(held)]

    def _has_runs(self) -> bool:
        """Return whether there are runs. Rules depend on nothing else, as workers race."""
        return bool(self.play.model.runs)

    def _system(self, system: str) -> str:
        """Return the system of the sequence."""
        return "edge" if self.targets[0].system == "edge" else system

    def _shown(self, target: ProofTarget) -> bool:
        if target.system == "edge":
            return bool(addresses(target.name) & self.play.stage.edge.blocked)
        return self.play.stage.devices[target.system].shows(target.name)

    def _untouched(self, target: ProofTarget) -> bool:
        now = self.play.stage.clock.now()
        return not target.uncertain and all(
            each.is_free(now) and not self.play.model.is_awaited(each.name)
            for each in self.targets
            if each.overlaps(target)
        )
