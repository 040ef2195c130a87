"""The interpreter: a run of a plan, step by step, over a port."""

from __future__ import annotations

from typing import Any

from orchestrator.contracts.run import RunResult, StepRef
from orchestrator.domain.alert import with_age
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import RunStatus, StepFailure, StepState
from orchestrator.engine.decide.for_each import is_caused_by
from orchestrator.engine.decide.scope import (
    Declined,
    NotSelected,
    NotVerified,
    Refused,
    StepFailed,
    StepScope,
)
from orchestrator.engine.decide.step_kinds import StepKinds
from orchestrator.engine.decide.timeouts import StepTimeout
from orchestrator.playbook.language.evaluate import ExpressionError, evaluate_condition
from orchestrator.playbook.plan import AnyStep, Choose, Parallel, Plan, Repeat


class Interpreter(StepKinds):
    """One run of one plan: its result, and what follows the failure of a step."""

    async def run_plan(self) -> RunResult:
        """Run the plan to its end, rollback included. Cancellation passes through."""
        plan, scope = self._run.plan, StepScope(names=self._names(), steps={})
        try:
            await self.run_steps(plan.steps, scope)
        except TocsinError as error:
            return await self._failed_result(plan, scope, error)
        return RunResult(status=RunStatus.COMPLETED, steps=self._seq - 1)

    async def run_step(self, step: AnyStep, scope: StepScope) -> Any:
        """Return the step's result. Raise StepFailed when it failed and that fails the run."""
        path = scope.path(step.id)
        carried = self._run.carried.get(path)
        is_block = isinstance(step, Parallel | Choose | Repeat)
        if path in self._run.carried and (carried is None or not is_block):
            return carried  # of a block, the steps inside are carried one by one
        ref = self._next_ref(path)
        try:
            if step.when is not None and not evaluate_condition(step.when, scope.variables()):
                await self._port.note(ref, step.kind, StepState.SKIPPED)
                return None
            return await self._run_with_timeout(step, ref, scope)
        except NotSelected as error:
            await self._port.note(ref, step.kind, StepState.DECLINED, error=str(error))
            return None
        except (Declined, Refused, StepFailed) as error:
            return await self._handle_failure(step, ref, scope, error)
        except ExpressionError as error:
            if self._live is None:
                text = f"a dry run cannot tell: {error}"
                await self._port.note(ref, step.kind, StepState.UNDETERMINED, error=text)
                return None
            return await self._handle_failure(step, ref, scope, StepFailed(path, str(error)))
        except NotVerified as error:
            failed = StepFailed(path, str(error), StepFailure.NOT_VERIFIED)
            return await self._handle_failure(step, ref, scope, failed)
        except TocsinError as error:
            return await self._handle_failure(step, ref, scope, StepFailed(path, str(error)))

    def _names(self) -> dict[str, Any]:
        run = self._run.run
        about = {
            "id": run.run_id,
            "mode": run.mode.value,
            "playbook": run.playbook,
            "version": run.version,
        }
        alert = self._run.alert
        return {
            "alert": None if alert is None else with_age(alert, self._run.started_at),
            "inputs": self._run.inputs,
            "run": {**about, "started_at": self._run.started_at.isoformat()},
        }

    async def _failed_result(self, plan: Plan, scope: StepScope, error: TocsinError) -> RunResult:
        declined = is_caused_by(error, Declined)
        reason = "the run was declined" if declined else "the run failed"
        problems = await self._run_on_failure(plan, scope, reason)
        if declined:
            status = RunStatus.DECLINED
        elif plan.on_failure == "roll_back" and self._live is not None and not problems:
            status = RunStatus.ROLLED_BACK
        else:
            status = RunStatus.FAILED
        return RunResult(
            status=status,
            error="; ".join([str(error), *problems]),
            failed_path=error.path if isinstance(error, StepFailed) else None,
            steps=self._seq - 1,
        )

    async def _run_with_timeout(self, step: AnyStep, ref: StepRef, scope: StepScope) -> Any:
        if step.timeout is None:
            return await self._run_kind(step, ref, scope)
        try:
            async with StepTimeout.after(step.timeout) as timeout:
                return await self._run_kind(step, ref, scope.with_timeout(timeout))
        except TimeoutError:
            reason = f"it took longer than its timeout of {step.timeout} s"
            raise StepFailed(ref.path, reason, StepFailure.TIMED_OUT) from None

    async def _handle_failure(
        self, step: AnyStep, ref: StepRef, scope: StepScope, error: TocsinError
    ) -> Any:
        """Record the failure and follow `on_error`.

        A decline, and a denial by the policy, end the run unless the author handles failures.
        """
        failure = error.failure if isinstance(error, StepFailed) else None
        state = _failed_state(error)
        await self._port.note(ref, step.kind, state, error=str(error), failure=failure)
        match step.on_error:
            case "fail":
                if isinstance(error, StepFailed):
                    raise error
                raise StepFailed(ref.path, str(error)) from error
            case "continue":
                return None
            case steps:
                await self.run_steps(steps, scope.inside(f"{step.id}:on_error"))
                return None


def _failed_state(error: TocsinError) -> StepState:
    if is_caused_by(error, Declined):
        return StepState.DECLINED
    if is_caused_by(error, Refused):
        return StepState.REFUSED
    return StepState.FAILED
