"""Enforcement: which sets of a table a rule drops by, so that a block stops packets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

HOOKS = frozenset({"ingress", "prerouting", "input", "forward"})
"""Hooks at which incoming or forwarded packets are dropped."""

_PROTOCOLS = {4: "ip", 6: "ip6"}
_ADDRESSES = frozenset({"saddr", "daddr"})
_DROPS = frozenset({"drop", "reject"})
_ENDS = frozenset({"accept", "drop", "reject", "return", "goto", "queue"})
_NEUTRAL = frozenset({"counter", "log", "comment", "xt"})
"""Statements that neither decide about a packet nor limit which packets a rule is about."""
_PLACES = frozenset({"iif", "iifname", "iifgroup", "oif", "oifname", "oifgroup", "nfproto"})
"""Conditions on the interface, which leave a block in force where the firewall stands."""

Rule = list[dict[str, Any]]


@dataclass(slots=True)
class _Table:
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)


def enforced_versions(listed: Iterable[dict[str, Any]], sets: dict[int, str]) -> set[int]:
    """Return the IP versions whose set a drop or reject rule of the table matches.

    `listed`: the entries of `nft -j list table`. The rule must be reachable from a base chain at
    one of `HOOKS`, and must not be limited by conditions other than the interface.
    """
    table = _parse(listed)
    rules = [rule for base in table.bases for rule in _reachable(table, base, frozenset())]
    return {
        version
        for version, name in sets.items()
        if any(_drops_by(table, rule, version, name) for rule in rules)
    }


def _parse(listed: Iterable[dict[str, Any]]) -> _Table:
    table = _Table()
    for entry in listed:
        match entry:
            case {"chain": {"name": str(name), "type": "filter", "hook": str(hook)}}:
                if hook in HOOKS:
                    table.bases.append(name)
            case {"rule": {"chain": str(chain), "expr": list(rule)}}:
                statements = [each for each in rule if isinstance(each, dict) and each]
                table.rules.setdefault(chain, []).append(statements)
    return table


def _reachable(table: _Table, chain: str, above: frozenset[str]) -> Iterator[Rule]:
    """Yield the rules that a packet of any kind can meet, from this chain on."""
    if chain in above:
        return
    for rule in table.rules.get(chain, ()):
        yield rule
        unlimited = all(_is_neutral(each) for each in rule[:-1])
        target = _target(rule)
        if unlimited and target is not None:
            yield from _reachable(table, target, above | {chain})
        if _is_unconditional(rule) and _kind(rule[-1]) in _ENDS:
            return


def _drops_by(table: _Table, rule: Rule, version: int, name: str) -> bool:
    matches = [each for each in rule[:-1] if _is_match_of(each, version, name)]
    rest = [each for each in rule[:-1] if each not in matches]
    return bool(matches) and all(map(_is_neutral, rest)) and _always_drops(table, rule)


def _always_drops(table: _Table, rule: Rule) -> bool:
    """Return whether the verdict is a drop, or a jump to a chain that drops everything."""
    if _kind(rule[-1]) in _DROPS:
        return True
    for inner in table.rules.get(_target(rule) or "", ()):
        if _is_unconditional(inner) and _kind(inner[-1]) in _ENDS:
            return _kind(inner[-1]) in _DROPS
        if not all(_kind(each) in _NEUTRAL for each in inner):
            return False
    return False


def _is_match_of(statement: dict[str, Any], version: int, name: str) -> bool:
    match statement:
        case {
            "match": {
                "op": "==" | "in",
                "left": {"payload": {"protocol": protocol, "field": address}},
                "right": right,
            }
        }:
            return protocol == _PROTOCOLS[version] and address in _ADDRESSES and right == f"@{name}"
    return False


def _is_neutral(statement: dict[str, Any]) -> bool:
    match statement:
        case {"match": {"left": {"meta": {"key": key}}}}:
            return key in _PLACES
    return _kind(statement) in _NEUTRAL


def _is_unconditional(rule: Rule) -> bool:
    return bool(rule) and all(_kind(each) in _NEUTRAL for each in rule[:-1])


def _target(rule: Rule) -> str | None:
    match rule[-1] if rule else None:
        case {"jump": {"target": str(target)}} | {"goto": {"target": str(target)}}:
            return target
    return None


def _kind(statement: dict[str, Any]) -> str:
    return str(next(iter(statement)))
