"""In which order do things happen? In any: hypothesis chooses the deeds and when to wait for quiet; the laws are checked at each of them."""

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

from tests.proof.crashes import MOMENTS
from tests.proof.model import Target
from tests.proof.play import Play
from tests.proof.playbooks import WAYS
from tests.proof.stage import Stage

SYSTEMS = ("firewall", "firewall", "edr")
LENGTHS = (timedelta(minutes=40), timedelta(hours=3), timedelta(hours=20))
PAUSES = (timedelta(minutes=30), timedelta(hours=1.5), timedelta(hours=4), timedelta(hours=9))
PATIENCE = 90.0
"""Seconds of real time that one deed may take; all of them take less than ten, unless the test server hangs."""
numbers = st.integers(0, 2)
often_quiet = st.sampled_from((True, True, False))


class Theatre:
    """The stage of this process, opened for the first sequence, and how many were played on it to their end.

    `hung`: what Temporal's test server was at when it let nothing happen any more. Such a sequence is given up and counted apart, and
    the next one gets another stage.
    """

    def __init__(self) -> None:
        self.played = 0
        self.begun = 0
        self.deeds: list[str] = []
        self.failures: list[tuple[str, tuple[str, ...]]] = []  # what broke, after which deeds
        self.hung: list[str] = []
        self._runner: asyncio.Runner | None = None
        self._folder: Path | None = None
        self.stage: Stage

    def do(self, deed: Coroutine[Any, Any, None], seconds: float = PATIENCE) -> None:
        """On this process's event loop. Raises TimeoutError after so long."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(_within(deed, seconds))

    async def opened(self) -> Stage:
        """The stage, made where there is none."""
        if self._folder is None:
            memory = Path(
                "/dev/shm"
            )  # the store is real, and its disk quick, where there is such a one
            self._folder = Path(
                tempfile.mkdtemp(prefix="tocsin-proof-", dir=memory if memory.is_dir() else None)
            )
            self.stage = Stage(self._folder)
            await self.stage.open()
        return self.stage

    async def shut(self) -> None:
        """The stage is gone, whether its server answers or not."""
        folder, self._folder = self._folder, None
        if folder is not None:
            await self.stage.close()
            shutil.rmtree(folder)

    def close(self) -> None:
        """The end of the process."""
        if self._runner is not None:
            self.do(self.shut())
            self._runner.close()
        self._runner = None


async def _within(deed: Coroutine[Any, Any, None], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await deed


THEATRE = Theatre()


class Containments(RuleBasedStateMachine):
    """A sequence: three targets, shared by all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.play: Play
        self.sound = False
        THEATRE.begun += 1
        THEATRE.deeds = []
        THEATRE.do(self._begin())

    async def _begin(self) -> None:
        number = THEATRE.begun
        stage = await THEATRE.opened()
        await stage.begin()
        names = [f"198.18.{number // 100 % 256}.{number % 100 * 2 + each}" for each in (0, 1)] + [
            f"ws-{number}"
        ]
        stage.devices["edr"].add_host(f"{number + 1_000:032x}", names[2])  # type: ignore[union-attr]
        self.targets = [Target(name, system) for name, system in zip(names, SYSTEMS, strict=True)]
        self.play = Play(stage, self.targets)
        self.sound = True

    @rule(number=numbers, way=st.sampled_from(WAYS), quiet=often_quiet)
    def start(self, number: int, way: Any, quiet: bool) -> None:
        self._do(
            f"start {way.name} {number}", self.play.start(self.targets[number], way), quiet=quiet
        )

    @rule(number=numbers, way=st.sampled_from(WAYS), quiet=often_quiet)
    def start_more(self, number: int, way: Any, quiet: bool) -> None:
        """So that there is something to share."""
        self._do(
            f"start {way.name} {number}", self.play.start(self.targets[number], way), quiet=quiet
        )

    @rule(quiet=often_quiet)
    def start_both(self, quiet: bool) -> None:
        self._do("start both", self.play.start_both(self.targets[0], self.targets[1]), quiet=quiet)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers, quiet=often_quiet)
    def release(self, number: int, quiet: bool) -> None:
        target = self._one_held(number)
        self._do(f"release {target.name}", self.play.release(target), quiet=quiet)

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
        """So that leases come to their end."""
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
        self._note(f"crash {system} {moment}")
        self.play.crash(system, moment)

    @precondition(lambda self: self._has_runs())
    @rule(
        system=st.sampled_from(("firewall", "edr")), kind=st.sampled_from(("lost_reply", "silent"))
    )
    def fault(self, system: str, kind: str) -> None:
        self._note(f"fault {system} {kind}")
        self.play.fault(system, kind)

    @rule(number=numbers)
    def by_hand(self, number: int) -> None:
        """Also where we had contained it before, and let go of it."""
        target = self.targets[number]
        if self._has_runs():
            self._do(f"release {number}", self.play.release(target), quiet=True)
        if not self._shown(target) and not target.by_hand and self._untouched(target):
            self._note(f"by hand {number}")
            self.play.by_hand(target)

    @precondition(lambda self: self._has_runs())
    @rule(number=numbers)
    def forget(self, number: int) -> None:
        target = self.targets[number]
        ours = self.play.stage.journal.of(target.name)[-1:] == ["up"]
        if ours and self._shown(target) and target.held(self.play.stage.clock.now()):
            self._note(f"forget {number}")
            self.play.forget(target)

    def teardown(self) -> None:
        try:
            if self.sound:
                self._do("end", self.play.end(), quiet=False)
                THEATRE.played += self.sound
        finally:
            THEATRE.do(THEATRE.stage.end() if self.sound else THEATRE.shut())

    def _do(self, what: str, deed: Coroutine[Any, Any, None], *, quiet: bool) -> None:
        if not self.sound:
            deed.close()
            return  # given up: the rest is drawn, and not done, so that hypothesis sees the same choices whichever way the workers raced
        self._note(what if quiet else f"{what} (and on)")
        self.sound = False
        try:
            THEATRE.do(self._done(deed, quiet=quiet))
        except TimeoutError as hung:
            THEATRE.hung.append(
                f"{hung or 'a deed took too long'}, after {', '.join(THEATRE.deeds)}"
            )
            return
        except Exception as error:
            THEATRE.failures.append((f"{type(error).__name__}: {error}", tuple(THEATRE.deeds)))
            raise
        self.sound = True

    async def _done(self, deed: Coroutine[Any, Any, None], *, quiet: bool) -> None:
        await deed
        self.play.look()
        self.play.laws.check_kept()
        if quiet:
            await self.play.settle()

    def _note(self, what: str) -> None:
        THEATRE.deeds.append(what)

    def _one_held(self, number: int) -> Target:
        now = self.play.stage.clock.now()
        held = [target for target in self.targets if target.held(now)] or self.targets
        return held[number % len(held)]

    def _has_runs(self) -> bool:
        """What may come next must not hang on how the workers race, or hypothesis calls it flaky: no rule asks for more than this."""
        return bool(self.play.model.runs)

    def _shown(self, target: Target) -> bool:
        return self.play.stage.devices[target.system].shows(target.name)

    def _untouched(self, target: Target) -> bool:
        now = self.play.stage.clock.now()
        return target.free(now) and not self.play.model.waited_for(target.name)
