"""May this exact change be made now? Allowed, needs people, or denied; pure, from facts that were gathered before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.effect import Effect
from orchestrator.domain.judgement import Judgement, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import Mode
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Counts, Policy, Rule
from orchestrator.policy.protection import objections

GUARDED = frozenset({Effect.CONTAIN, Effect.DESTROY})
"""What protected assets are protected from; taking a containment back is never refused for their sake."""
COUNTED = frozenset({Effect.CONTAIN, Effect.DESTROY, Effect.RESTORE})
"""What limits count. A ticket has no blast radius."""


class Switch(Frozen):
    """An engaged kill switch: scope `global`, `connection` (by its name or its connector's) or `playbook`."""

    scope: str
    name: str
    reason: str


class Context(Frozen):
    """On whose behalf the change is to be made."""

    playbook: str
    mode: Mode = Mode.LIVE
    limits: Limits = Limits()


class Facts(Frozen):
    """The state of the moment. Counts are of other targets of the change's kind than its own; each is None where ours is counted already.

    `names`: what else the target is known as. `critical`: it is a critical asset, or a domain controller.
    """

    names: tuple[str, ...] = ()
    critical: bool = False
    switches: tuple[Switch, ...] = ()
    others_in_run: int | None = 0
    others_in_hour: int | None = 0


@dataclass(frozen=True, slots=True)
class InForce:
    """A published policy."""

    version: int
    digest: str
    policy: Policy


def judge(change: Change, in_force: InForce, facts: Facts, context: Context) -> Judgement:
    """The verdict. Denials come before questions: nobody is asked about what may not be."""
    if denials := [*_stopped(change, facts, context), *_denied(change, in_force.policy, facts, context)]:
        return _verdict(in_force, Verdict.DENY, denials)
    if change.changed and (rules := [rule for rule in in_force.policy.approve if _fits(rule, change, facts)]):
        group = next((rule.by for rule in rules if rule.by), None)
        asked = _verdict(in_force, Verdict.APPROVE, [_why(rule, change) for rule in rules])
        return asked.model_copy(update={"by": group, "quorum": max(rule.quorum for rule in rules)})
    return _verdict(in_force, Verdict.ALLOW, [f"{change.effect.value} of {change.target}: nothing in the policy stands against it"])


def allowed_read(in_force: InForce) -> Judgement:
    """What is said of a read."""
    return _verdict(in_force, Verdict.ALLOW, ["reads change nothing"])


def _verdict(in_force: InForce, verdict: Verdict, reasons: list[str]) -> Judgement:
    return Judgement(
        verdict=verdict,
        reasons=tuple(dict.fromkeys(reasons)),
        policy_version=in_force.version,
        policy_digest=in_force.digest,
    )


def _stopped(change: Change, facts: Facts, context: Context) -> Iterator[str]:
    if change.effect is Effect.READ:
        return
    for switch in facts.switches:
        if _covers(switch, change, context):
            where = "everything" if switch.scope == "global" else f"{switch.scope} {switch.name}"
            yield f"the kill switch for {where} is engaged: {switch.reason}"


def _covers(switch: Switch, change: Change, context: Context) -> bool:
    match switch.scope:
        case "connection" | "connector":
            return switch.name in {change.connection, change.connector}
        case "playbook":
            return switch.name == context.playbook
        case _:
            return True  # global; an unknown scope stops everything rather than nothing


def _denied(change: Change, policy: Policy, facts: Facts, context: Context) -> Iterator[str]:
    if change.effect in GUARDED:
        yield from objections(change.target, facts.names, policy)
    if change.effect in COUNTED and change.changed:
        yield from _over(change, policy, facts, context)


_KINDS = {
    ObservableType.HOST: "hosts",
    ObservableType.USER: "users",
    ObservableType.ADDRESS: "addresses",
    ObservableType.NETWORK: "networks",
    ObservableType.DOMAIN: "domains",
    ObservableType.HASH: "hashes",
}


def _over(change: Change, policy: Policy, facts: Facts, context: Context) -> Iterator[str]:
    kind = _KINDS.get(change.target.type)
    if kind is None:
        return
    limits = policy.limits
    yield from _exceeds(kind, "in a run", limits.per_run, facts.others_in_run, "the policy allows")
    yield from _exceeds(kind, "in an hour", limits.per_hour, facts.others_in_hour, "the policy allows")
    yield from _exceeds(kind, "in a run", _of_playbook(context.limits), facts.others_in_run, f"{context.playbook} allows itself")


def _of_playbook(limits: Limits) -> Counts:
    return Counts(hosts=limits.hosts_per_run, users=limits.users_per_run, addresses=limits.addresses_per_run)


def _exceeds(kind: str, span: str, counts: Counts, others: int | None, who: str) -> Iterator[str]:
    limit: int | None = getattr(counts, kind)
    if limit is not None and others is not None and others + 1 > limit:
        yield f"{others} {kind} are touched already, and {who} {limit} {span}"


def _fits(rule: Rule, change: Change, facts: Facts) -> bool:
    effect = rule.effect is None or rule.effect is change.effect
    action = rule.action is None or rule.action in {change.action, f"{change.connection}.{change.action}"}
    critical = rule.critical is None or rule.critical is facts.critical
    return effect and action and critical


def _why(rule: Rule, change: Change) -> str:
    what = f"{change.connection}.{change.action}" if rule.action else f"{change.effect.value}"
    on = {True: " on a critical asset", False: " on an asset that is not critical", None: ""}[rule.critical]
    return f"the policy wants {rule.quorum} {'person' if rule.quorum == 1 else 'people'} to agree with {what}{on}"
