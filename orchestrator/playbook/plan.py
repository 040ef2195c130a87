"""The compiled, frozen form of a playbook: what a run carries, and what the digest is taken of.

Strings may hold `${{ }}` expressions, checked at compile time and evaluated by `playbook.expressions`; whether a value
holds any is seen from its text. A condition is the bare expression. Durations are whole seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.domain.change import Effect
from orchestrator.domain.digest import digest
from orchestrator.domain.model import Frozen

Condition = str  # a bare expression that yields a bool
Value = Any  # JSON, strings of which may hold `${{ }}`
Seconds = Annotated[int, Field(ge=0)]


def _groups(written: Any) -> Any:
    """One group is a chain of one; none at all is what plans before the chain have."""
    return () if written is None else (written,) if isinstance(written, str) else written


Chain = Annotated[tuple[str, ...], BeforeValidator(_groups)]
"""Groups that are asked one after the other."""


class Retry(Frozen):
    """How often a failing (`Unavailable`) action is tried, with exponential backoff from `wait`."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    wait: Seconds = 1


class Approve(Frozen):
    """A person has to agree with the exact planned_changes before anything is applied."""

    when: Condition | None = None  # None: always
    question: str
    by: str | None = None  # a group; None: anyone with the permission
    quorum: Annotated[int, Field(ge=1, le=10)] = 1
    within: Seconds = 900
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: Chain = ()  # each has `within` of its own


class Step(Frozen):
    """What every kind of step takes."""

    id: str
    when: Condition | None = None
    retry: Retry | None = None
    timeout: Seconds | None = None
    on_error: Literal["fail", "continue"] | tuple[AnyStep, ...] = "fail"
    approve: Approve | None = None


class Use(Step):
    """Call an action of a connection. `undo` names the action's undo, where it has one."""

    kind: Literal["use"] = "use"
    connection: str
    capability: str
    action: str
    effect: Effect
    inputs: dict[str, Value] = {}
    hold: Value = None  # `for:` in seconds, or an expression that yields a duration; None: until lifted by hand


class Parallel(Step):
    """All at once; the step's result maps each branch id to its result."""

    kind: Literal["parallel"] = "parallel"
    steps: tuple[AnyStep, ...]


class ForEach(Step):
    """The steps once per item. More items than `at_most` is an error before anything is done."""

    kind: Literal["for_each"] = "for_each"
    items: Value
    name: str  # the item is seen under this name
    at_most: Annotated[int, Field(ge=1, le=100_000)]
    at_once: Annotated[int, Field(ge=1, le=100)] = 10
    steps: tuple[AnyStep, ...]


class Branch(Frozen):
    """One branch of `choose`."""

    when: Condition
    steps: tuple[AnyStep, ...]


class Choose(Step):
    """The first branch whose condition holds; else `otherwise`."""

    kind: Literal["choose"] = "choose"
    branches: tuple[Branch, ...]
    otherwise: tuple[AnyStep, ...] = ()


class Repeat(Step):
    """The steps, then `until`; again while it is false, `at_most` times, `every` seconds apart."""

    kind: Literal["repeat"] = "repeat"
    steps: tuple[AnyStep, ...]
    until: Condition
    at_most: Annotated[int, Field(ge=1, le=1000)]
    every: Seconds = 0


class Wait(Step):
    """A pause, or an event: a further alert that fits `event` (sees it as `event`), at most `at_most_seconds`."""

    kind: Literal["wait"] = "wait"
    seconds: Value = None  # an int, or an expression that yields a duration
    event: Condition | None = None
    within: Seconds | None = None
    otherwise: Literal["fail", "continue"] = "fail"  # when no event came in time


class FormField(Frozen):
    """One field of an `ask` form."""

    type: Literal["text", "boolean", "integer", "choice"]
    label: str
    required: bool = True
    choices: tuple[str, ...] = ()


class Ask(Step):
    """A question to a person; the step's result is the filled form."""

    kind: Literal["ask"] = "ask"
    question: str
    form: dict[str, FormField]
    by: str | None = None
    within: Seconds = 3600
    otherwise: Literal["stop", "continue"] = "stop"


class Call(Step):
    """Another playbook, pinned to a version and carried whole; it sees only `inputs`."""

    kind: Literal["call"] = "call"
    inputs: dict[str, Value] = {}
    plan: Plan


AnyStep = Annotated[
    Use | Parallel | ForEach | Choose | Repeat | Wait | Ask | Call,
    Field(discriminator="kind"),
]


class Trigger(Frozen):
    """Which alerts start a run. `once_per` (a template) names the run; a second within `within` seconds is the same run."""

    when: Condition
    once_per: Value = "${{ alert.id }}"
    within: Seconds = 86_400


class Limits(Frozen):
    """What this playbook may do at most; None: only the policy's own limits."""

    runs_per_hour: int | None = None
    hosts_per_run: int | None = None
    users_per_run: int | None = None
    addresses_per_run: int | None = None


class InputField(Frozen):
    """A declared input of a playbook that is started by hand or by `call`."""

    type: Literal[
        "text",
        "boolean",
        "integer",
        "number",
        "list",
        "object",
        "address",
        "domain",
        "host",
        "user",
        "url",
        "hash",
        "email",
    ]
    description: str = ""
    required: bool = True
    default: Any = None


class Plan(Frozen):
    """A whole compiled playbook."""

    playbook: str
    version: Annotated[int, Field(ge=1)]
    title: str
    owner: str
    attack: tuple[str, ...] = ()
    trigger: Trigger | None = None
    inputs: dict[str, InputField] = {}
    limits: Limits = Limits()
    steps: tuple[AnyStep, ...]
    on_failure: Literal["roll_back", "stop"] | tuple[AnyStep, ...] = "stop"

    @property
    def digest(self) -> str:
        """Hex SHA-256 over RFC 8785 JSON of the plan."""
        return digest(self.model_dump(mode="json"))


for _model in (Step, Use, Parallel, ForEach, Branch, Choose, Repeat, Wait, Ask, Call, Plan):
    _model.model_rebuild()
