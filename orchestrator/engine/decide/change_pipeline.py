"""The one way by which anything is changed: plan, judge, approve, record and apply, verify, hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.contracts.messages import ActionCall, ApplyReply, Decision, PlanReply, StepRef
from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change, Effect, PlannedChange, PolicyVerdict, Verdict
from orchestrator.domain.errors import ActionError, Rejected, TocsinError, Unavailable, Unknown
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.decide.port import Port
from orchestrator.engine.decide.scope import Declined, LeftOut, Place, Refused
from orchestrator.engine.decide.timeouts import all_paused
from orchestrator.playbook.plan import Use

ASKED_AT_MOST = 3
LOOKS_AT_MOST = 3


async def change(
    port: Port,
    step: Use,
    call: ActionCall,
    place: Place,
    question: Question | None,
    hold: int | None,
) -> dict[str, Any]:
    """Carry one change through; the step's result. `question`: the step's own approval; without it, that of the group around.

    Raises Refused, Declined, LeftOut, ActionError.
    """
    if port.run.mode is Mode.DRY_RUN:
        return await _only_planned(port, step, call, place, question, hold)
    return await _Passage(port, step, call, place, question, hold).carried_through()


async def ask(
    port: Port, ref: StepRef, place: Place, question: Question, changes: Sequence[Change]
) -> Decision:
    """Ask, and then further up the chain where the author wants that; an approval. Raises Declined."""
    with all_paused(place.limits):
        decision = await port.ask_change(ref, question.text, changes, question)
    if decision.state == "approved":
        return decision
    if decision.state == "declined":
        raise Declined(
            f"declined by {', '.join(decision.by) or 'people'}"
            + (f": {decision.comment}" if decision.comment else "")
        )
    if question.otherwise == "escalate":
        return await ask(port, ref, place, question.higher(), changes)
    raise Declined("nobody decided in time")


async def _only_planned(
    port: Port,
    step: Use,
    call: ActionCall,
    place: Place,
    question: Question | None,
    hold: int | None,
) -> dict[str, Any]:
    """A dry run: what would change, what the policy says of it, and who would be asked. A denied change is told, and the run goes on."""
    planned = await port.plan(step, call, lease=False, hold=hold)
    asked = question or (place.cover.question if place.cover else None)
    source: Literal["step", "group", "policy"] = (
        "step" if question else "group" if asked else "policy"
    )
    if asked is None and planned.verdict.outcome is Verdict.ASK:
        asked = Question.by_policy(planned.change, planned.verdict)
    if (
        asked is not None and planned.verdict.outcome is not Verdict.DENY
    ):  # nobody is asked about what the policy forbids
        asked = asked.stricter(planned.verdict)
        await port.note(call.ref, "use", StepState.PLANNED, asked=asked.told(source))
    return _told(planned.change, {})


def not_denied(verdict: PolicyVerdict) -> None:
    """Raises Refused."""
    if verdict.outcome is Verdict.DENY:
        raise Refused("; ".join(verdict.reasons))


@dataclass(slots=True)
class _Passage:
    """One change on its way. `agreed`: digests that people agreed with, by approval; an approval is void for any other digest."""

    port: Port
    step: Use
    call: ActionCall
    place: Place
    question: Question | None
    hold: int | None
    agreed: dict[str, str] = field(default_factory=dict)
    own: str | None = (
        None  # the newest approval of this change alone, which is void once it is asked about anew
    )
    declined: frozenset[str] = frozenset()
    asked: int = 0
    tried: Change | None = None  # it may have been made

    async def carried_through(self) -> dict[str, Any]:
        """From the plan to the lease."""
        if self.question is None and self.place.cover is not None:
            self.question, self.declined = self.place.cover.question, self.place.cover.declined
            self.agreed = dict(self.place.cover.approved)
        try:
            planned, output = await self._in_force()
        except TocsinError as error:
            await self._let_go(error)
            raise
        try:
            shown = not planned.changed or await self.port.verify(
                self.step, self.call, planned, output
            )
        except TocsinError:
            await self._held(planned)
            raise
        await self._held(planned)
        if not shown:
            raise Rejected(
                "failed verification: the device does not show the change that it reported as made"
            )
        return _told(planned, output)

    async def _held(self, made: Change) -> None:
        """Its time begins, shown or not: what a device may yet come to show has an end too, and holds nobody else's for ever."""
        if self.hold is not None or self.step.effect is Effect.CONTAIN:
            await self.port.hold(self.call.ref, made.containment_key, self.hold)

    async def _in_force(self) -> tuple[Change, dict[str, Any]]:
        """What was made, or was so already. Planned again, with a lease, after each approval."""
        demanded: PolicyVerdict | None = None
        while True:
            planned = await self._planned()
            approval_id = await self._approval(planned, demanded)
            if approval_id is None and self._asks(planned, demanded):
                continue
            found = planned.change
            if not found.changed and self.step.effect is not Effect.NOTIFY:
                await self.port.note(self.call.ref, "use", StepState.DONE, result=_told(found, {}))
                return found, {}
            reply = await self._made(found, approval_id)
            if reply is None or reply.outcome == "applied":
                return found, reply.output if reply else {}
            # The policy of this moment wants an approval, or a stricter one than there is.
            self.agreed.pop(found.digest, None)
            demanded = reply.verdict.model_copy(update={"outcome": Verdict.ASK})

    async def _planned(self) -> PlanReply:
        lease = self.question is None or bool(self.agreed)
        planned = await self.port.plan(self.step, self.call, lease=lease, hold=self.hold)
        if (
            not lease and not planned.change.changed
        ):  # nothing to ask about, but ours to hold from now on
            planned = await self.port.plan(self.step, self.call, lease=True, hold=self.hold)
        not_denied(planned.verdict)
        return planned

    def _asks(self, planned: PlanReply, demanded: PolicyVerdict | None) -> bool:
        due = (
            self.question is not None
            or demanded is not None
            or planned.verdict.outcome is Verdict.ASK
        )
        return planned.change.changed and due

    async def _approval(self, planned: PlanReply, demanded: PolicyVerdict | None) -> str | None:
        """The approval that covers exactly this change; None where there is none yet (people were asked just now), or none is due."""
        found, digest = planned.change, planned.change.digest
        if not self._asks(planned, demanded) or digest in self.agreed:
            return self.agreed.get(digest)
        if digest in self.declined:
            raise LeftOut("it was left out by those who approved the rest")
        if self.asked == ASKED_AT_MOST:
            raise Rejected(
                f"people agreed {ASKED_AT_MOST} times, and each time it was another change by then, or they were not enough"
            )
        self.asked += 1
        due = (self.question or Question.by_policy(found, demanded or planned.verdict)).stricter(
            planned.verdict
        )
        due = (due.stricter(demanded) if demanded else due).instead_of(self.own)
        decision = await ask(self.port, self.call.ref, self.place, due, [found])
        self.own = decision.approval_id
        if digest not in decision.approved_changes:
            raise LeftOut("it was not among the changes that were approved")
        self.agreed = {digest: decision.approval_id}
        return None

    async def _made(self, found: Change, approval_id: str | None) -> ApplyReply | None:
        """Apply; without an answer look first, and only then again. None: it was made, unheard of. Raises Refused, ActionError."""
        looks, self.tried = 0, found
        while True:
            try:
                reply = await self.port.apply(self.step, self.call, found, approval_id)
            except (Unavailable, Unknown) as lost:
                if await self._is_made(found):
                    return None
                looks += 1
                if isinstance(lost, Unavailable) or looks > LOOKS_AT_MOST:
                    raise
                continue
            if reply.outcome == "refused":
                raise Refused(reply.detail or "; ".join(reply.verdict.reasons))
            return reply

    async def _is_made(self, found: Change) -> bool:
        """Read back. What has an answer of its own (a ticket's key) is called again instead: the same call, by its key, tells it."""
        seen = (await self.port.plan(self.step, self.call, lease=True, hold=self.hold)).change
        if seen.changed and seen.digest != found.digest:
            raise ActionError(
                "the reply was lost, and the device has changed since: it needs a person to look"
            )
        return not seen.changed and self.step.effect is not Effect.NOTIFY

    async def _let_go(self, error: TocsinError) -> None:
        """Ends the lease of a step that came to no change, and begins the time of one that may have; else it held others' for ever."""
        came_to_nothing = isinstance(error, (Refused, Declined, LeftOut, Rejected))
        with suppress(TocsinError):  # the end of the run ends it too
            if self.step.effect in {Effect.CONTAIN, Effect.RESTORE} and came_to_nothing:
                await self.port.undo(self.call.ref.path, "the step came to no change")
            elif self.tried is not None and not came_to_nothing:
                await self._held(self.tried)


def _told(found: Change, output: dict[str, Any]) -> dict[str, Any]:
    """What later steps see: the output, and of the planned_change what every planned_change has."""
    return {**output, **{name: found.planned_change[name] for name in PlannedChange.model_fields}}
