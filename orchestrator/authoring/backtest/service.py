"""Backtests of a draft with the policy, the inventory and the history of this environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import Client

from orchestrator.assets.index import AssetIndex
from orchestrator.authoring.backtest.policy_inputs import PolicyInputs
from orchestrator.authoring.backtest.read_resolver import Live, ReadFallback
from orchestrator.authoring.backtest.replay import (
    MOST_ALERTS,
    BacktestInput,
    TimeRange,
    replay_alerts,
)
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.playbook.plan import Plan
from orchestrator.policy.drafts.analysis import read_draft
from orchestrator.policy.inputs import OwnInfrastructure, PolicyInForce
from orchestrator.policy.load_inputs import load_policy
from orchestrator.policy.stops.self_protection import OWN_FOR
from orchestrator.registry.analysis import compile_draft
from orchestrator.requests import RequestKind, ask_worker
from orchestrator.runtime import Runtime
from orchestrator.store.queries import history, policy_inputs, records
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.tables import ConnectionRow

_ANSWER_MARGIN = timedelta(seconds=10)
"""How much longer than a backtest the API waits for a worker's answer."""


class BacktestPlaybook(Frozen):
    """The playbook to replay: a text, or a published version."""

    text: str | None = None
    file: str = "playbook.yaml"
    name: str | None = None
    version: int | None = None
    """None: the newest live one."""
    tests: str | None = None
    """A tests.yaml whose stubs answer reads, with `reads: stub`."""
    tests_file: str = "tests.yaml"


class BacktestRequest(Frozen):
    """The alerts to replay, and how."""

    since: timedelta
    source: str | None = None
    limit: int = MOST_ALERTS
    reads: ReadFallback = ReadFallback.RECORDED
    policy: str | None = None
    """The text of a draft; None: the policy in force."""
    policy_file: str = "policy.yaml"


class LiveBacktest(Frozen):
    """A backtest that reads from real systems, for a worker."""

    playbook: BacktestPlaybook
    request: BacktestRequest
    seconds: float


LIVE_BACKTEST = RequestKind("live_backtest", LiveBacktest, Backtest)


async def run_backtest_for_api(
    rt: Runtime,
    client: Client | None,
    playbook: BacktestPlaybook,
    request: BacktestRequest,
    *,
    seconds: float,
) -> Backtest:
    """Run a backtest for the API; one with live reads runs on a worker.

    Raises as `run_backtest` does, and Unavailable when no worker answers.
    """
    if request.reads is not ReadFallback.LIVE:
        return await run_backtest(rt, playbook, request, seconds=seconds)
    message = LiveBacktest(playbook=playbook, request=request, seconds=seconds)
    timeout = timedelta(seconds=seconds) + _ANSWER_MARGIN
    return await ask_worker(client, LIVE_BACKTEST, message, within=timeout)


async def run_backtest(
    rt: Runtime,
    playbook: BacktestPlaybook,
    request: BacktestRequest,
    *,
    seconds: float | None = None,
    live: Live | None = None,
) -> Backtest:
    """Replay a playbook over stored alerts. `live` reads real systems, on a worker only.

    Raises PlaybookInvalid, Invalid, NotFound, and Unavailable when it takes longer than `seconds`.
    """
    if request.reads is ReadFallback.LIVE and live is None:
        raise Invalid("reads: a backtest with live reads runs on a worker")
    plan, name, tests = await _load_plan(rt, playbook)
    stubs = _stubs(playbook, tests, plan) if request.reads is ReadFallback.STUB else {}
    in_force, inputs = await _load_policy(rt, request)
    given = BacktestInput(
        plan=plan,
        draft=name,
        policy=in_force,
        policy_inputs=inputs,
        fallback=request.reads,
        stubs=stubs,
        live=live if request.reads is ReadFallback.LIVE else None,
        seconds=seconds,
    )
    now = rt.clock()
    span = TimeRange(
        since=now - request.since,
        until=now + timedelta(microseconds=1),
        source=request.source,
        limit=request.limit,
    )
    return await replay_alerts(rt.store, given, span)


async def _load_plan(rt: Runtime, playbook: BacktestPlaybook) -> tuple[Plan, str, str | None]:
    """Return the plan, its name in messages, and its tests."""
    if playbook.text is not None:
        plan = (await compile_draft(rt, playbook.text, playbook.file)).plan
        if playbook.name is not None and plan.playbook != playbook.name:
            raise Invalid(
                f"{playbook.file}: is the playbook {plan.playbook}, not {playbook.name}; "
                f"write `{plan.playbook}@{playbook.file}`"
            )
        return plan, f"{plan.playbook}@{playbook.file}", playbook.tests
    async with rt.store.read() as session:
        for row in await records.versions(session, playbook.name or ""):
            newest = playbook.version is None and not row.retired and row.stage == "live"
            if newest or row.version == playbook.version:
                return (
                    Plan.model_validate(row.plan),
                    f"{row.name}@{row.version}",
                    playbook.tests or row.tests,
                )
    which = f" version {playbook.version}" if playbook.version is not None else " that takes alerts"
    raise NotFound(f"no playbook {playbook.name}{which} exists; see `tocsin playbook list`")


def _stubs(playbook: BacktestPlaybook, tests: str | None, plan: Plan) -> Mapping[str, Stub]:
    if tests is None:
        raise Invalid(
            "--reads stub needs stubs: add a tests.yaml next to the playbook, "
            "or name one with --stubs"
        )
    return read_tests(tests, playbook.tests_file, plan).stubs


async def _load_policy(rt: Runtime, request: BacktestRequest) -> tuple[PolicyInForce, PolicyInputs]:
    text, file = request.policy, request.policy_file
    draft = None if text is None else await read_draft(rt, text, file)
    async with rt.store.read() as session:
        in_force = (
            await load_policy(session) if draft is None else PolicyInForce(0, draft.digest, draft)
        )
        assets = [KnownAsset.of(row) for row in await history.all_assets(session)]
        own = sorted(await policy_inputs.list_own(session, rt.clock() - OWN_FOR))
        connectors = {
            row.name: row.connector for row in await records.list_all(session, ConnectionRow)
        }
    protected = tuple(
        OwnInfrastructure(type=ObservableType(kind), value=value, why=why)
        for kind, value, why in own
    )
    return in_force, PolicyInputs(AssetIndex(assets), protected, connectors, in_force.policy.limits)
