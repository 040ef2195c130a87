"""Every construct of the language compiles to the plan that it means."""

import textwrap

import pytest

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from tests.harness.playbook_texts import HEAD, compiled, problems_of, steps_of, with_steps

DESIGN = """\
playbook: c2-beacon-containment
version: 3
title: Contain a host that beacons to a command-and-control server
owner: soc-tier-2
attack: [T1071.001]

trigger:
  when: alert.class == 'c2_beacon' and alert.severity >= 4 and alert.host.kind != 'domain_controller'
  once_per: ${{ alert.host.id }} ${{ alert.remote.address }}      # becomes the workflow id
  within: 4h

limits: {runs_per_hour: 10, hosts_per_run: 1}

steps:
  - id: reputation
    use: reputation.lookup_address
    with: {address: "${{ alert.remote.address }}"}

  - id: contain
    approve:                             # may be omitted: the policy can demand it by itself
      when: alert.host.critical or steps.reputation.malicious < 10
      question: Isolate ${{ alert.host.name }} and block ${{ alert.remote.address }}?
      by: soc-leads
      quorum: 1
      within: 15m
      otherwise: stop                    # stop | escalate
    parallel:
      - id: block
        use: firewall.block_address
        with: {address: "${{ alert.remote.address }}"}
        for: 24h                         # a lease: released by itself, once
      - id: isolate
        use: edr.isolate_host
        with: {host: "${{ alert.host.id }}"}

  - id: ticket
    use: tickets.open
    with:
      title: Contained ${{ alert.host.name }}
      evidence: ${{ steps.reputation }}

on_failure: roll_back                    # newest first, only what we changed
"""


def test_the_playbook_of_the_design_compiles() -> None:
    result = compiled(DESIGN)
    assert result.source == DESIGN
    assert result.positions == {
        "reputation": (15, 5),
        "contain": (19, 5),
        "block": (28, 9),
        "isolate": (32, 9),
        "ticket": (36, 5),
    }
    assert result.plan.trigger == plan.Trigger(
        when="alert.class == 'c2_beacon' and alert.severity >= 4 and alert.host.kind != 'domain_controller'",
        once_per="${{ alert.host.id }} ${{ alert.remote.address }}",
        within=14_400,
    )
    assert result.plan.limits == plan.Limits(runs_per_hour=10, hosts_per_run=1)
    assert result.plan.on_failure == "roll_back"
    contain = result.plan.steps[1]
    assert isinstance(contain, plan.Parallel)
    assert contain.approve == plan.Approve(
        when="alert.host.critical or steps.reputation.malicious < 10",
        question="Isolate ${{ alert.host.name }} and block ${{ alert.remote.address }}?",
        by="soc-leads",
        within=900,
    )
    assert contain.steps[0] == plan.Use(
        id="block",
        connection="firewall",
        capability="firewall",
        action="block_address",
        effect=Effect.CONTAIN,
        inputs={"address": "${{ alert.remote.address }}"},
        hold=86_400,
    )


def test_digest_covers_the_meaning_and_not_the_text() -> None:
    assert (
        compiled(DESIGN).plan.digest
        == compiled("# a comment\n" + DESIGN.replace("24h", "1d")).plan.digest
    )
    assert compiled(DESIGN).plan.digest != compiled(DESIGN.replace("24h", "25h")).plan.digest


def test_plan_survives_serialization() -> None:
    made = compiled(DESIGN).plan
    assert plan.Plan.model_validate_json(made.model_dump_json()) == made


def test_common_keys_of_a_step() -> None:
    (step,) = steps_of("""
        - id: block
          when: alert.remote is not none
          use: firewall.block_address
          with: {address: 198.51.100.7}
          retry: {attempts: 3, wait: 10s}
          timeout: 1m30s
          on_error: continue
          for: ${{ '12h' if alert.host.critical else '1h' }}
          approve: {question: "Block?", quorum: 2, otherwise: escalate, escalate_to: ciso}
    """)
    assert isinstance(step, plan.Use)
    assert step.when == "alert.remote is not none"
    assert step.retry == plan.Retry(attempts=3, wait=10)
    assert step.timeout == 90
    assert step.on_error == "continue"
    assert step.hold == "${{ '12h' if alert.host.critical else '1h' }}"
    assert step.approve == plan.Approve(
        question="Block?", quorum=2, otherwise="escalate", escalate_to=("ciso",)
    )


def test_on_error_takes_steps_whose_results_are_seen_afterwards() -> None:
    (step, after) = steps_of("""
        - id: block
          use: firewall.block_address
          with: {address: 198.51.100.7}
          on_error:
            - {id: tell, use: chat.post, with: {channel: soc, text: "The block failed"}}
        - {id: after, when: steps.tell is not none and steps.tell.changed, wait: 1s}
    """)
    assert isinstance(step.on_error, tuple)
    assert step.on_error[0].id == "tell"
    assert after.id == "after"


def test_for_each_sees_its_item_and_is_seen_through_its_items() -> None:
    step, after = steps_of("""
        - id: each
          for_each: ${{ alert.observables | where('type', 'address') }}
          as: seen
          at_most: 50
          at_once: 5
          steps:
            - {id: look, use: reputation.lookup_address, with: {address: "${{ seen.value }}"}}
            - {id: block, when: steps.look.malicious > 5, use: firewall.block_address, with: {address: "${{ seen.value }}"}, for: 7d}
        - id: after
          wait: 1s
          when: >-
            steps.each.failed == 0 and steps.each.items[0].steps.look.malicious > 1
            and steps.each.items[0].item.type == 'address'
    """)
    assert isinstance(step, plan.ForEach)
    assert (step.items, step.name, step.at_most, step.at_once) == (
        "${{ alert.observables | where('type', 'address') }}",
        "seen",
        50,
        5,
    )
    assert [inner.id for inner in step.steps] == ["look", "block"]
    assert after.id == "after"


def test_for_each_accepts_a_literal_list() -> None:
    (step,) = steps_of("""
        - id: each
          for_each: [198.51.100.7, "${{ alert.remote.address }}"]
          as: address
          at_most: 2
          steps:
            - {id: look, use: reputation.lookup_address, with: {address: "${{ address }}"}}
    """)
    assert isinstance(step, plan.ForEach)
    assert step.items == ["198.51.100.7", "${{ alert.remote.address }}"]


def test_steps_of_a_choose_are_nullable_after_it() -> None:
    step, after = steps_of("""
        - id: pick
          choose:
            - when: alert.severity == 5
              steps: [{id: page, use: chat.post, with: {channel: oncall, text: Now}}]
            - when: true
              steps: [{id: later, wait: 1h}]
            - otherwise: [{id: never, wait: 2h}]
        - {id: after, when: steps.page is not none and steps.page.channel == 'x' or steps.pick.branch == 1, wait: 1s}
    """)
    assert isinstance(step, plan.Choose)
    assert [branch.when for branch in step.branches] == ["alert.severity == 5", "true"]
    assert step.otherwise == (plan.Wait(id="never", seconds=7200),)
    assert after.id == "after"


def test_repeat_sees_its_round_in_until() -> None:
    (step,) = steps_of("""
        - id: poll
          repeat:
            steps: [{id: look, use: edr.find_host, with: {host: ws-1}}]
            until: steps.look.isolation == 'isolated'
            at_most: 10
            every: 30s
    """)
    assert isinstance(step, plan.Repeat)
    assert (step.until, step.at_most, step.every) == ("steps.look.isolation == 'isolated'", 10, 30)


def test_wait_takes_a_duration_a_template_or_an_event() -> None:
    pause, reckoned, event, after = steps_of("""
        - {id: pause, wait: 1h30m}
        - {id: reckoned, wait: "${{ alert.severity * 60 }}"}
        - id: event
          wait: {event: event.resolved and event.dedup_key == alert.dedup_key, within: 7d, otherwise: continue}
        - {id: after, when: steps.event.waited and steps.event.event.severity > 2, wait: 1s}
    """)
    assert pause == plan.Wait(id="pause", seconds=5400)
    assert reckoned == plan.Wait(id="reckoned", seconds="${{ alert.severity * 60 }}")
    assert event == plan.Wait(
        id="event",
        event="event.resolved and event.dedup_key == alert.dedup_key",
        within=604_800,
        otherwise="continue",
    )
    assert after.id == "after"


def test_answers_of_an_ask_are_typed() -> None:
    ask, block = steps_of("""
        - id: triage
          ask:
            question: What of ${{ alert.host.name }}?
            form:
              verdict: {type: choice, label: Verdict, choices: [benign, hostile]}
              hours: {type: integer, label: For how long}
              note: {type: text, label: Note, required: false}
            by: soc
            within: 2h
        - id: block
          when: steps.triage.verdict == 'hostile'
          use: firewall.block_address
          with: {address: "${{ alert.remote.address }}"}
          for: ${{ steps.triage.hours * 3600 }}
    """)
    assert isinstance(ask, plan.Ask)
    assert ask.form["verdict"] == plan.FormField(
        type="choice", label="Verdict", choices=("benign", "hostile")
    )
    assert (ask.by, ask.within, ask.otherwise) == ("soc", 7200, "stop")
    assert block.id == "block"


CALLED = """\
playbook: notify-owner
version: 2
title: Tell the owner
owner: soc
inputs:
  host: {type: host, description: Whose owner}
  text: {type: text, required: false, default: Look at it}
steps:
  - {id: say, use: chat.post, with: {channel: owners, text: "${{ inputs.host }}: ${{ inputs.text }}"}}
"""


def test_call_carries_the_whole_pinned_plan() -> None:
    called = compiled(CALLED).plan
    step, after = steps_of(
        """
        - {id: tell, call: notify-owner@2, with: {host: "${{ alert.host.name }}"}}
        - {id: after, when: steps.tell.status == 'completed' and steps.tell.steps.say is not none, wait: 1s}
        """,
        called,
    )
    assert step == plan.CallPlaybook(
        id="tell", inputs={"host": "${{ alert.host.name }}"}, plan=called
    )
    assert after.id == "after"


def test_nested_steps_are_seen_flat_after_their_block() -> None:
    assert steps_of("""
        - id: both
          parallel:
            - {id: first, use: edr.find_host, with: {host: ws-1}}
            - id: second
              repeat: {steps: [{id: third, use: identity.find_user, with: {user: joe}}], until: true, at_most: 1}
        - {id: after, wait: 1s, when: steps.first.online and steps.both.first.online}
        - {id: last, wait: 1s, when: steps.third.status == 'active' and steps.second.met}
    """)


def test_steps_of_on_failure_see_every_step() -> None:
    text = with_steps("- {id: look, use: edr.find_host, with: {host: ws-1}}") + textwrap.dedent("""\
        on_failure:
          - id: tell
            when: steps.look is not none
            use: chat.post
            with: {channel: soc, text: "Failed at ${{ steps.look.name }} in ${{ run.id }}"}
    """)
    on_failure = compiled(text).plan.on_failure
    assert isinstance(on_failure, tuple)
    assert on_failure[0].id == "tell"


def test_alert_is_nullable_only_without_a_trigger() -> None:
    steps = "steps:\n  - {id: a, when: alert is not none and alert.severity > 3, wait: 1s}\n"
    assert compiled("playbook: x\nversion: 1\ntitle: X\nowner: soc\n" + steps).plan.trigger is None
    assert problems_of(HEAD + steps) == ()


def test_literals_of_every_kind_are_accepted() -> None:
    assert steps_of("""
        - id: ticket
          use: tickets.open
          with: {title: T, priority: high, labels: [a, "${{ alert.class }}"], evidence: {a: [1, null, "${{ alert }}"], on: 1.5}}
    """)


def test_a_default_may_be_null() -> None:
    text = (
        with_steps("- {id: a, when: inputs.note is none, wait: 1s}")
        + "inputs: {note: {type: text, required: false, default: null}}\n"
    )
    assert compiled(text).plan.inputs["note"].default is None


@pytest.mark.parametrize(
    "key", ["runs_per_hour", "hosts_per_run", "users_per_run", "addresses_per_run"]
)
def test_every_limit_is_carried(key: str) -> None:
    text = with_steps("- {id: a, wait: 1s}") + f"limits: {{{key}: 7}}\n"
    assert getattr(compiled(text).plan.limits, key) == 7
