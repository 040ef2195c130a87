"""What may a policy say? One YAML file: what is protected, how much may be touched, what people have to agree with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from orchestrator.domain.digest import digest
from orchestrator.domain.effect import Effect
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Address, Domain, Host, Network, User
from orchestrator.playbook.problems import did_you_mean
from orchestrator.playbook.yaml import BadYaml, Document, load

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Protected(Frozen):
    """What no playbook may contain or destroy, whoever asks. A network protects all that overlaps it, a domain all below it."""

    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    hosts: tuple[Host, ...] = ()
    users: tuple[User, ...] = ()
    domains: tuple[Domain, ...] = ()


class Counts(Frozen):
    """How many different targets of a kind; None: as many as you like."""

    hosts: Count | None = None
    users: Count | None = None
    addresses: Count | None = None
    networks: Count | None = None
    domains: Count | None = None
    hashes: Count | None = None


class PolicyLimits(Frozen):
    """How much may be touched by one run, and by all runs within any 60 minutes."""

    per_run: Counts = Counts()
    per_hour: Counts = Counts()


class Rule(Frozen):
    """Changes that people have to agree with: those that fit all that is said here. `by`: a group; None: anyone who may decide."""

    effect: Effect | None = None
    action: Annotated[str | None, Field(min_length=1)] = None  # `block_network`, or with its connection `firewall.block_network`
    critical: bool | None = None  # whether the target is a critical asset
    by: Annotated[str | None, Field(min_length=1)] = None
    quorum: Annotated[int, Field(ge=1, le=10)] = 1

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if self.effect is None and self.action is None and self.critical is None:
            raise ValueError("fits nothing in particular; give `effect`, `action` or `critical`")
        if self.effect is Effect.READ:
            raise ValueError("reads are never asked about; name an effect that changes something")
        return self


class Widest(Frozen):
    """The shortest prefix that a network to be blocked may have: 16 refuses 10.0.0.0/8."""

    ipv4: Annotated[int, Field(ge=1, le=32)] = 16
    ipv6: Annotated[int, Field(ge=1, le=128)] = 32


def _rule(written: Any) -> Any:
    """`destroy` is short for `{effect: destroy}`."""
    return {"effect": written} if isinstance(written, str) else written


_BY_DEFAULT = (Rule(effect=Effect.DESTROY), Rule(effect=Effect.CONTAIN, critical=True))


class Policy(Frozen):
    """A whole policy. Left out, `approve` asks about `destroy`, and about `contain` of critical assets."""

    protect: Protected = Protected()
    limits: PolicyLimits = PolicyLimits()
    approve: tuple[Annotated[Rule, BeforeValidator(_rule)], ...] = _BY_DEFAULT
    widest_network: Widest = Widest()

    @property
    def digest(self) -> str:
        """Hex SHA-256 over RFC 8785 JSON of the policy."""
        return digest(self.model_dump(mode="json"))


def parse_policy(text: str, file: str = "policy.yaml") -> Policy:
    """Reads a policy. Raises Invalid with file, line, column and mend of all that is wrong."""
    try:
        document = load(text)
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    if not isinstance(document.data, dict):
        raise Invalid(f"{file}:1:1: a policy is a mapping; it may have: {', '.join(Policy.model_fields)}")
    try:
        return Policy.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise Invalid("\n".join(_said(file, document, problem) for problem in problems)) from None


def _said(file: str, document: Document, problem: Any) -> str:
    path = tuple(problem["loc"])
    position = document.at(path, key=problem["type"] == "extra_forbidden")
    name = ".".join(map(str, path))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        mend = did_you_mean(str(path[-1]), _known(path[:-1]))
        message = "there is no such field" + (f"; {mend}" if mend else "")
    return f"{file}:{position.line}:{position.column}: {name}: {message}"


_FIELDS: dict[str, type[Frozen]] = {
    "protect": Protected,
    "limits": PolicyLimits,
    "per_run": Counts,
    "per_hour": Counts,
    "approve": Rule,
    "widest_network": Widest,
}


def _known(path: tuple[str | int, ...]) -> list[str]:
    """The fields that there are at a place."""
    names = [part for part in path if isinstance(part, str)]
    return list((_FIELDS.get(names[-1], Policy) if names else Policy).model_fields)


DEFAULT_POLICY = """\
# What no playbook may contain or destroy, whoever asks. Add your own: name servers, gateways, domain controllers,
# break-glass accounts, the domains you live by.
protect:
  addresses: []
  networks: []
  hosts: []
  users: [administrator, root]
  domains: []

# How many different targets one run, and all runs of any 60 minutes together, may touch.
limits:
  per_run: {hosts: 10, users: 10, addresses: 100, networks: 5}
  per_hour: {hosts: 50, users: 50, addresses: 1000, networks: 20}

# What people have to agree with, even where a playbook does not ask.
approve:
  - destroy
  - {effect: contain, critical: true}

# The widest network that may be blocked.
widest_network: {ipv4: 16, ipv6: 32}
"""
"""The policy of a first start."""
