"""Lint rules about changes: how long they last, who approves them, how long they may take."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.lint.context import LintContext, StepSite
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example


def _without_lease(context: LintContext) -> Iterator[RuleHit]:
    for site, step in _uses(context):
        if step.effect is Effect.CONTAIN and step.hold is None:
            message = f"{step.connection}.{step.action} has no end and must be lifted by hand"
            yield RuleHit((*site.path, "use"), message, "add a duration: `for: 24h`", key=True)


def _without_approval(context: LintContext) -> Iterator[RuleHit]:
    for site, step in _uses(context):
        if step.effect is Effect.DESTROY and not any(
            _always_asks(context, each) for each in site.lineage
        ):
            conditional = any(each.step.approve for each in site.lineage)
            lacks = "its approval is conditional" if conditional else "needs no approval"
            message = f"{step.connection}.{step.action} cannot be undone, and {lacks}"
            yield RuleHit(
                (*site.path, "use"),
                message,
                "add `approve:` with a question and without `when`",
                key=True,
            )


def _always_asks(context: LintContext, site: StepSite) -> bool:
    if site.step.approve is None or site.step.approve.when is None:
        return site.step.approve is not None
    path = (*site.path, "approve", "when")
    place = context.condition_at(path)
    return place is not None and not context.solver(place).assume(
        parse(place.value), context.cases(path), holds=False
    )


def _without_timeout(context: LintContext) -> Iterator[RuleHit]:
    for site, step in _uses(context):
        action = context.action(step)
        if action and action.slow and all(each.step.timeout is None for each in site.lineage):
            message = f"{action.name} runs as a job at the vendor, with no limit on the wait"
            yield RuleHit(
                (*site.path, "use"),
                message,
                "add `timeout: 10m`, and `on_error` if the run should continue",
                key=True,
            )


def _uses(context: LintContext) -> Iterator[tuple[StepSite, plan.Use]]:
    """Yield every call of an action that can be reached."""
    for site in context.sites:
        if isinstance(site.step, plan.Use) and context.cases(site.path):
            yield site, site.step


LEASE = LintRule(
    id="contain-without-for",
    summary="A containment without an end.",
    why=(
        "A containment that no one lifts lasts for years. Addresses change hands, and people "
        "are locked out by an incident that was closed long ago."
    ),
    bad=example("""
        - id: block
          use: firewall.block_address
          with: {address: "${{ alert.remote.address }}"}
        """),
    good=example("""
        - id: block
          use: firewall.block_address
          with: {address: "${{ alert.remote.address }}"}
          for: 24h
        """),
    check=_without_lease,
)
APPROVAL = LintRule(
    id="destroy-without-approval",
    summary="A change that cannot be undone, without approval.",
    why=(
        "An alert can be wrong, and so can a playbook. A change without undo needs a person "
        "who has seen its exact target."
    ),
    bad=example("""
        - id: sessions
          when: alert.user is not none and alert.user.name is not none
          use: identity.end_sessions
          with: {user: "${{ alert.user.name }}"}
        """),
    good=example("""
        - id: sessions
          when: alert.user is not none and alert.user.name is not none
          approve: {question: "End all sessions of ${{ alert.user.name }}?"}
          use: identity.end_sessions
          with: {user: "${{ alert.user.name }}"}
        """),
    check=_without_approval,
)
TIMEOUT = LintRule(
    id="slow-without-timeout",
    summary="An action that is polled, without `timeout`.",
    why=(
        "A host that is switched off is never isolated. Without a limit the run keeps "
        "waiting, and no one learns that it failed."
    ),
    bad=example("""
        - id: isolate
          use: edr.isolate_host
          with: {host: "${{ alert.host.id }}"}
          for: 8h
        """),
    good=example("""
        - id: isolate
          use: edr.isolate_host
          with: {host: "${{ alert.host.id }}"}
          for: 8h
          timeout: 10m
        """),
    check=_without_timeout,
)
