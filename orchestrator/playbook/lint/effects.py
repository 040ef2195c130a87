"""Rules about what a playbook does to the world: for how long, asked by whom, in what time."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.lint.context import Draft, Site
from orchestrator.playbook.lint.example import example
from orchestrator.playbook.lint.finding import Found, Rule


def _without_lease(draft: Draft) -> Iterator[Found]:
    for site, step in _uses(draft):
        if step.effect is Effect.CONTAIN and step.hold is None:
            message = f"{step.connection}.{step.action} stays until somebody lifts it by hand"
            yield Found(
                (*site.path, "use"), message, "say how long it is needed: `for: 24h`", key=True
            )


def _without_approval(draft: Draft) -> Iterator[Found]:
    for site, step in _uses(draft):
        if step.effect is Effect.DESTROY and not any(
            _always_asks(draft, each) for each in site.line
        ):
            message = f"{step.connection}.{step.action} cannot be taken back, and is done without a person's approval"
            if any(each.step.approve for each in site.line):
                message = f"{step.connection}.{step.action} cannot be taken back, and the approval is not always asked for"
            yield Found(
                (*site.path, "use"),
                message,
                "add `approve:` with a question, and without `when`",
                key=True,
            )


def _always_asks(draft: Draft, site: Site) -> bool:
    if site.step.approve is None or site.step.approve.when is None:
        return site.step.approve is not None
    path = (*site.path, "approve", "when")
    place = draft.condition_at(path)
    return place is not None and not draft.reasoner(place).assume(
        parse(place.value), draft.cases(path), holds=False
    )


def _without_timeout(draft: Draft) -> Iterator[Found]:
    for site, step in _uses(draft):
        action = draft.action(step)
        if action and action.slow and all(each.step.timeout is None for each in site.line):
            message = (
                f"{action.name} is a job that the vendor works on, and is waited for without limit"
            )
            yield Found(
                (*site.path, "use"),
                message,
                "add `timeout: 10m`, and `on_error` if the run shall go on",
                key=True,
            )


def _uses(draft: Draft) -> Iterator[tuple[Site, plan.Use]]:
    """Every call of an action that can be reached."""
    for site in draft.sites:
        if isinstance(site.step, plan.Use) and draft.cases(site.path):
            yield site, site.step


LEASE = Rule(
    id="contain-without-for",
    sentence="A containment without an end.",
    why="What nobody lifts stays for years: addresses change hands, and people are locked out by a case that is long closed.",
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
APPROVAL = Rule(
    id="destroy-without-approval",
    sentence="Something that cannot be taken back, done without asking.",
    why="An alert can be wrong, and so can a playbook; what has no undo needs a person who saw exactly what it will hit.",
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
TIMEOUT = Rule(
    id="slow-without-timeout",
    sentence="An action that is polled, without `timeout`.",
    why="A host that is switched off is never isolated: without a limit the run waits, and nobody is told that it did not work.",
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
