"""Blast-radius limits: how much was touched so far. A network counts as its number of addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.match import parse_address, parse_network
from orchestrator.domain.change import Change
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.policy.evaluate import COUNTED, ChangeContext, LimitUsage
from orchestrator.policy.sections import Per, PolicyLimits, TargetCounts
from orchestrator.store.queries import effects
from orchestrator.store.queries.effects import LimitWindow

Kind = Literal["hosts", "users", "addresses", "networks", "domains", "hashes"]
KINDS: dict[ObservableType, Kind] = {
    ObservableType.HOST: "hosts",
    ObservableType.USER: "users",
    ObservableType.EMAIL: "users",
    ObservableType.ADDRESS: "addresses",
    ObservableType.NETWORK: "networks",
    ObservableType.DOMAIN: "domains",
    ObservableType.HASH: "hashes",
}
_TYPES: dict[Kind, list[str]] = {
    kind: [each.value for each, of in KINDS.items() if of == kind] for kind in KINDS.values()
}
_COUNTED = sorted(effect.value for effect in COUNTED)
_IPV6_SITE = 64
"""The unit of IPv6: one site has a whole /64."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit on one kind of target."""

    kind: Kind
    per: Literal["run", "playbook", "source", "connector", "overall"]
    name: str
    within: int | None
    most: int
    span: LimitWindow


async def limit_usage(
    session: AsyncSession,
    change: Change,
    run_id: str | None,
    now: datetime,
    context: ChangeContext,
    limits: PolicyLimits,
) -> list[LimitUsage]:
    """Return the usage of each limit that applies, without the change itself."""
    if change.effect not in COUNTED or not change.changed or change.target.type not in KINDS:
        return []
    kind = KINDS[change.target.type]
    kinds: list[Kind] = ["networks", "addresses"] if kind == "networks" else [kind]
    found = [
        limit for each in kinds for limit in limits_on(limits, context, change, run_id, each, now)
    ]
    inside = await _networks(session, [limit.span for limit in found if limit.kind == "addresses"])
    usage = []
    for each in kinds:
        alike = [limit for limit in found if limit.kind == each]
        spans = list(dict.fromkeys(limit.span for limit in alike))
        touched = dict(
            zip(
                spans,
                await effects.count_targets(
                    session, spans, _TYPES[each], change.target.value, _COUNTED
                ),
                strict=True,
            )
        )
        usage += [
            usage_of(limit, change.target, touched[limit.span], inside.get(limit.span, ()))
            for limit in alike
        ]
    return usage


async def _networks(
    session: AsyncSession, spans: Sequence[LimitWindow]
) -> dict[LimitWindow, list[str]]:
    """Return the networks that were touched in each window; they count as their addresses."""
    if not spans:
        return {}
    asked = list(dict.fromkeys(spans))
    rows = await effects.touched_networks(session, asked, _COUNTED)
    return {
        span: [value for value, within in rows if within[place]] for place, span in enumerate(asked)
    }


def usage_of(
    limit: Limit, target: Target, touched: tuple[int, bool], networks: Sequence[str]
) -> LimitUsage:
    """Return the usage of one limit.

    `touched`: the number of targets, and whether this target is among them. `networks`: those that
    were touched in the limit's window.
    """
    count, ours = touched
    is_network = target.type is ObservableType.NETWORK
    if limit.kind == "addresses":
        count += sum(map(network_size, networks))
        ours = ours or (is_network and target.value in networks)
    adds = network_size(target.value) if is_network and limit.kind == "addresses" else 1
    return LimitUsage(
        kind=limit.kind,
        per=limit.per,
        name=limit.name,
        within=limit.within,
        limit=limit.most,
        others=None if ours else count,
        adds=adds,
    )


def network_size(value: str) -> int:
    """Return how many addresses a network counts as; of IPv6, how many /64."""
    if parse_address(value) is not None:
        return 1
    try:
        network = parse_network(value)
    except ValueError:
        return 1
    return (
        int(network.num_addresses)
        if network.version == 4
        else 1 << max(0, _IPV6_SITE - network.prefixlen)
    )


def limits_on(
    limits: PolicyLimits,
    context: ChangeContext,
    change: Change,
    run_id: str | None,
    kind: Kind,
    now: datetime,
) -> Iterator[Limit]:
    """Yield every limit on this kind of target that applies to a change."""
    in_run = LimitWindow((("run_id", run_id or ""),), None)
    if (most := _of(limits.per_run, kind)) is not None:
        yield Limit(kind, "run", "", None, most, in_run)
    own = context.limits
    allowed = {
        "hosts": own.hosts_per_run,
        "users": own.users_per_run,
        "addresses": own.addresses_per_run,
    }
    if (most := allowed.get(kind)) is not None:
        yield Limit(kind, "run", context.playbook, None, most, in_run)
    for window in limits.windows:
        name = _counted_together(window.per, context, change)
        if (most := _of(window, kind)) is None or name is None:
            continue
        columns = () if window.per is Per.OVERALL else ((window.per.value, name),)
        counted = LimitWindow(columns, now - timedelta(seconds=window.within))
        yield Limit(kind, window.per.value, name, window.within, most, counted)


def _counted_together(per: Per, context: ChangeContext, change: Change) -> str | None:
    """Return the name of whose changes a window counts; None: it does not apply to the change."""
    match per:
        case Per.OVERALL:
            return ""
        case Per.PLAYBOOK:
            return context.playbook
        case Per.CONNECTOR:
            return change.connector
        case Per.SOURCE:
            return context.source  # None for a run that a person started


def _of(counts: TargetCounts, kind: Kind) -> int | None:
    most: int | None = getattr(counts, kind)
    return most
