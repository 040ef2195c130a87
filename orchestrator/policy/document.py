"""The policy document: the schema of `policy.yaml`, its parser, and the default policy."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError

from orchestrator.domain.change import Effect
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.yaml import BadYaml, Document, load
from orchestrator.playbook.problems import did_you_mean
from orchestrator.policy.rules import Hours, RequiredApproval, Rule, SeverityIs, TargetIs
from orchestrator.policy.sections import (
    Approvals,
    Breaker,
    Drift,
    PolicyLimits,
    Protected,
    Releases,
    TargetCounts,
    Widest,
    Window,
)

DEFAULT_RULES = (
    Rule(name="default:reads", effect=(Effect.READ,), allow=True),
    Rule(
        name="default:critical",
        effect=(Effect.CONTAIN,),
        tags=("critical",),
        approve=RequiredApproval(),
    ),
    Rule(name="default:destroy", effect=(Effect.DESTROY,), approve=RequiredApproval()),
    Rule(name="default:unknown", effect=(Effect.CONTAIN,), known=False, approve=RequiredApproval()),
    Rule(name="default:auto-contain", effect=(Effect.CONTAIN,), tags=("auto-contain",), allow=True),
    Rule(
        name="default:internal",
        effect=(Effect.CONTAIN,),
        internal=True,
        approve=RequiredApproval(),
    ),
    Rule(
        name="default:approved",
        effect=(Effect.RELEASE, Effect.RESTORE),
        approved_by_group=True,
        approve=RequiredApproval(),
    ),
    Rule(
        name="default:held",
        effect=(Effect.RESTORE,),
        held_by_others=True,
        approve=RequiredApproval(),
    ),
    Rule(
        name="default:rest",
        effect=(Effect.CONTAIN, Effect.RESTORE, Effect.NOTIFY, Effect.RELEASE),
        allow=True,
    ),
    Rule(name="default:else", approve=RequiredApproval()),
)
"""The rules behind every list of rules. The last one asks about effects of later versions."""


class Policy(Frozen):
    """A whole policy. The first rule that matches decides, and the default rules are last."""

    protect: Protected = Protected()
    rules: Annotated[tuple[Rule, ...], Field(max_length=1_000)] = ()
    limits: PolicyLimits = PolicyLimits()
    breaker: Breaker = Breaker()
    drift: Drift = Drift()
    releases: Releases = Releases()
    approvals: Approvals = Approvals()
    widest_network: Widest = Widest()

    @property
    def digest(self) -> str:
        """Hex SHA-256 over RFC 8785 JSON of the policy, without the line numbers of its rules."""
        return digest(self.model_dump(mode="json", exclude={"rules": {"__all__": {"line"}}}))

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The written rules, then the default rules."""
        return (*self.rules, *DEFAULT_RULES)

    def name_of(self, number: int) -> str:
        """Return the name of a rule of `all_rules` (from 0), or `rule 3 (line 14)`."""
        rule = self.all_rules[number]
        return rule.name or f"rule {number + 1}" + (f" (line {rule.line})" if rule.line else "")


def parse_policy(text: str, file: str = "policy.yaml") -> Policy:
    """Return a policy. Raise Invalid with file, line, column and fix of every problem."""
    try:
        document = load(text)
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    if not isinstance(document.data, dict):
        raise Invalid(
            f"{file}:1:1: a policy is a mapping with the fields: {', '.join(Policy.model_fields)}"
        )
    return parse_data(document.data, file, document)


def parse_data(data: Any, file: str, document: Document, at: tuple[str | int, ...] = ()) -> Policy:
    """Return a policy that is a part of a document. Raise Invalid as `parse_policy` does."""
    if problems := [*_reserved(data, file, document, at)]:
        raise Invalid("\n".join(problems))
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        problems = [
            _describe(file, document, problem, at)
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise Invalid("\n".join(dict.fromkeys(problems))) from None
    lines = [document.at((*at, "rules", number)).line for number in range(len(policy.rules))]
    rules = tuple(
        rule.model_copy(update={"line": line})
        for rule, line in zip(policy.rules, lines, strict=True)
    )
    return policy.model_copy(update={"rules": rules})


def _reserved(data: Any, file: str, document: Document, at: tuple[str | int, ...]) -> list[str]:
    """Return problems of fields that a stored policy has, but an author must not write."""
    rules = data.get("rules") if isinstance(data, dict) else None
    found = []
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        if not isinstance(rule, dict):
            continue
        path = (*at, "rules", number)
        if "line" in rule:
            found.append(_placed(file, document, (*path, "line"), "line: unknown field", key=True))
        if str(rule.get("name", "")).startswith("default:"):
            found.append(
                _placed(
                    file,
                    document,
                    (*path, "name"),
                    "name: `default:` is reserved for the default rules; choose another name",
                )
            )
    return found


def _describe(file: str, document: Document, problem: Any, at: tuple[str | int, ...]) -> str:
    path = tuple(part for part in problem["loc"] if part != "tuple")
    name = ".".join(map(str, path))
    message = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("valid tuple", "list")
        .replace("valid dictionary or instance of", "mapping:")
    )
    extra = problem["type"] == "extra_forbidden"
    if extra:
        fix = did_you_mean(str(path[-1]), _known(path[:-1]))
        message = "unknown field" + (f"; {fix}" if fix else "")
    return _placed(file, document, (*at, *path), f"{name}: {message}", key=extra)


def _placed(
    file: str, document: Document, path: tuple[str | int, ...], words: str, *, key: bool = False
) -> str:
    position = document.at(path, key=key)
    return f"{file}:{position.line}:{position.column}: {words}"


_FIELDS: dict[str, type[Frozen]] = {
    "protect": Protected,
    "rules": Rule,
    "target": TargetIs,
    "severity": SeverityIs,
    "time": Hours,
    "approve": RequiredApproval,
    "limits": PolicyLimits,
    "per_run": TargetCounts,
    "windows": Window,
    "breaker": Breaker,
    "drift": Drift,
    "releases": Releases,
    "approvals": Approvals,
    "widest_network": Widest,
}


def _known(path: tuple[str | int, ...]) -> list[str]:
    """Return the fields of a section, as an author writes them."""
    names = [part for part in path if isinstance(part, str)]
    fields = (_FIELDS.get(names[-1], Policy) if names else Policy).model_fields
    return [field.alias or name for name, field in fields.items() if name != "line"]


DEFAULT_POLICY = """\
# What no playbook may contain or destroy. Tocsin's own addresses, its resolvers, its gateways and
# the devices behind its connections are protected without being listed. Add your own: name servers,
# domain controllers, break-glass accounts, your domains.
protect:
  addresses: []
  networks: []
  hosts: []
  users: [administrator, root]
  domains: []

# The first rule that matches decides. The default rules follow: reads are allowed; containing a
# critical or unknown asset, changes without an undo, and lifting what other runs hold or a group
# approved need approval. So does containing what is internal, unless the inventory gives it the
# tag `auto-contain`. Everything else is allowed.
rules: []

# How many different targets one run, and all runs of any hour together, may touch before a change
# needs approval.
limits:
  per_run: {hosts: 10, users: 10, addresses: 100, networks: 5}
  windows:
    - {per: overall, within: 1h, hosts: 50, users: 50, addresses: 1000, networks: 20}

# A source that suddenly asks for many more containments may be spoofed: each of its changes then
# needs approval.
breaker: {within: 1h, at_least: 20, factor: 5, compared_with: 7d}

# How often devices are read back. If a containment is gone, `reapply` applies it again and `report`
# opens a task.
drift: {every: 15m, then: report}

# A new person, key, member of a group or contact does not approve for this time. `two_admins`: a
# second admin confirms each key that may decide.
approvals: {new_approvers_wait: 1d, two_admins: false}

# The widest network that may be blocked.
widest_network: {ipv4: 16, ipv6: 32}
"""
"""The policy of a new installation."""
