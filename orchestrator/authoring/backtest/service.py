"""How does an author get a backtest of a draft, with the policy, the inventory and the history of an environment?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.sdk.call import Call
from connectors.sdk.transport import Access
from orchestrator.assets.facts import Indexed
from orchestrator.authoring.backtest.policy_inputs import Surroundings
from orchestrator.authoring.backtest.read_resolver import Live, Reads
from orchestrator.authoring.backtest.replay import MOST_ALERTS, Span, Tried, backtest
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub, read_cases
from orchestrator.authoring.rehearsal.tests_yaml.validate import check_stubs
from orchestrator.connections.connections import open_connection_for
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.contracts.messages import ActionCall
from orchestrator.domain.digest import wish_digest
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import parse_policy
from orchestrator.policy.evaluate import InForce
from orchestrator.policy.inputs import Own
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.policy.stops.self_protection import OWN_FOR
from orchestrator.registry.playbooks import check_playbook
from orchestrator.runtime import Runtime
from orchestrator.store.queries import history, policy_inputs, records
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.tables import ConnectionRow

LIVE_SECONDS = timedelta(seconds=30)
"""How long one live read may take."""


class Draft(Frozen):
    """What is tried: a text, or a published version (None: the newest live one). `tests`: a tests.yaml, for `--reads stub`."""

    text: str | None = None
    file: str = "playbook.yaml"
    name: str | None = None
    version: int | None = None
    tests: str | None = None
    tests_file: str = "tests.yaml"


class Wish(Frozen):
    """How it is tried. `policy`: a draft's text; None: the one in force."""

    since: timedelta
    source: str | None = None
    limit: int = MOST_ALERTS
    reads: Reads = Reads.RECORDED
    policy: str | None = None
    policy_file: str = "policy.yaml"


async def backtested(
    rt: Runtime, draft: Draft, wish: Wish, *, seconds: float | None = None
) -> Backtest:
    """The result. Raises PlaybookInvalid, Invalid, NotFound, and Unavailable when it takes longer than `seconds`."""
    plan, called, tests = await _plan(rt, draft)
    stubs = _stubs(draft, tests, plan) if wish.reads is Reads.STUB else {}
    in_force, surroundings = await _surroundings(rt, wish)
    tried = Tried(
        plan=plan,
        draft=called,
        policy=in_force,
        surroundings=surroundings,
        reads=wish.reads,
        stubs=stubs,
        live=_live(rt) if wish.reads is Reads.LIVE else None,
        seconds=seconds,
    )
    now = rt.clock()
    span = Span(
        since=now - wish.since,
        until=now + timedelta(microseconds=1),
        source=wish.source,
        limit=wish.limit,
    )
    return await backtest(rt.store, tried, span)


async def _plan(rt: Runtime, draft: Draft) -> tuple[Plan, str, str | None]:
    """The plan, how it is called, and its tests."""
    if draft.text is not None:
        plan = (await check_playbook(rt, draft.text, draft.file)).plan
        if draft.name is not None and plan.playbook != draft.name:
            raise Invalid(
                f"{draft.file}: is the playbook {plan.playbook}, not {draft.name}; write `{plan.playbook}@{draft.file}`"
            )
        return plan, f"{plan.playbook}@{draft.file}", draft.tests
    async with rt.store.read() as session:
        for row in await records.versions(session, draft.name or ""):
            newest = draft.version is None and not row.retired and row.stage == "live"
            if newest or row.version == draft.version:
                return (
                    Plan.model_validate(row.plan),
                    f"{row.name}@{row.version}",
                    draft.tests or row.tests,
                )
    which = f" version {draft.version}" if draft.version is not None else " that takes alerts"
    raise NotFound(f"there is no playbook {draft.name}{which}; see `tocsin playbook list`")


def _stubs(draft: Draft, tests: str | None, plan: Plan) -> Mapping[str, Stub]:
    if tests is None:
        raise Invalid(
            "--reads stub needs stubs: put a tests.yaml beside the playbook, or name one with --stubs"
        )
    cases = read_cases(tests, draft.tests_file, plan)
    check_stubs(tests, draft.tests_file, plan)
    return cases.stubs


async def _surroundings(rt: Runtime, wish: Wish) -> tuple[InForce, Surroundings]:
    draft = None if wish.policy is None else parse_policy(wish.policy, wish.policy_file)
    async with rt.store.read() as session:
        in_force = (
            await policy_in_force(session) if draft is None else InForce(0, draft.digest, draft)
        )
        assets = [
            KnownAsset(row.type, row.value, row.kind, row.critical, row.tags)
            for row in await history.all_assets(session)
        ]
        own = sorted(await policy_inputs.own(session, rt.clock() - OWN_FOR))
        connections = {
            row.name: row.connector for row in await records.every(session, ConnectionRow)
        }
    ours = tuple(Own(type=ObservableType(kind), value=value, why=why) for kind, value, why in own)
    return in_force, Surroundings(Indexed(assets), ours, connections, in_force.policy.limits)


def _live(rt: Runtime) -> Live:
    """Reads through the real connections, whose write credentials are not loaded for it."""

    async def read(call: ActionCall) -> dict[str, Any]:
        connector = await open_connection_for(rt, call.connection, Access.READ)
        reason = f"Tocsin backtest of {call.ref.run.playbook}, step {call.ref.path}"
        about = Call(
            key=wish_digest(call.connection, call.action, call.input),
            run_id=call.ref.run.run_id,
            step_id=call.ref.path,
            reason=reason,
            heartbeat=lambda _: None,
            deadline=rt.clock() + LIVE_SECONDS,
        )
        async with attempts_noted(rt, call.connection, call.action, call.ref.run.run_id):
            output: dict[str, Any] = await connector.read(call.action, call.input, about)
        return output

    return read
