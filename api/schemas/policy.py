"""Request bodies of the routes of policies and kill switches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from api.schemas.request_model import Document, Name, RequestModel, Text, Version, example
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import Target

Tag = Annotated[str, Field(min_length=1, max_length=64)]


class PublishPolicy(RequestModel):
    """A policy for every change from now on."""

    model_config = example(
        {
            "text": "protect:\n  networks: [10.0.0.0/24]\nrules:\n"
            "  - {tags: executive, approve: {by: leads}}\n"
        }
    )

    text: Document


class CheckPolicy(RequestModel):
    """A policy to check."""

    model_config = example({"text": "rules:\n  - {tags: critcal, deny: no}\n"})

    text: Document
    file: Annotated[
        str, Field(min_length=1, max_length=200, description="The file name in messages.")
    ] = "policy.yaml"


class PolicySide(RequestModel):
    """One policy of a comparison: a version, a draft, or neither for the one in force."""

    model_config = example({"version": 2}, {"text": "rules: []\n"}, {})

    version: Version | None = None
    text: Document | None = None

    @property
    def choice(self) -> int | str | None:
        """The version, the text of the draft, or None for the policy in force. Raise Invalid."""
        if self.version is not None and self.text is not None:
            raise Invalid("give either `version` or `text`")
        return self.text if self.version is None else self.version


class ComparePolicies(RequestModel):
    """Two policies to compare."""

    model_config = example({"a": {"version": 1}, "b": {}}, {"a": {}, "b": {"text": "rules: []\n"}})

    a: PolicySide = PolicySide()
    b: PolicySide


class RollBackPolicy(RequestModel):
    """An earlier version that is put in force again, as a new one."""

    model_config = example({"to": 2})

    to: Version


class EvaluateStep(RequestModel):
    """A step of a run, whose planned change is evaluated again."""

    model_config = example({"run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d", "step": "contain/block"})

    run_id: Annotated[str, Field(min_length=1, max_length=200)]
    step: Annotated[str, Field(min_length=1, max_length=1000, description="The path of the step.")]
    policy: Annotated[
        Document | None, Field(description="A draft; default: the policy in force.")
    ] = None


class EvaluatePolicy(RequestModel):
    """A hypothetical change."""

    model_config = example(
        {
            "action": "firewall.block_address",
            "target": {"type": "address", "value": "203.0.113.5"},
            "source": "edge-ids",
            "severity": 4,
        },
        {
            "action": "edr.isolate_host",
            "target": {"type": "host", "value": "dc-01"},
            "policy": "rules:\n  - {tags: domain-controller, deny: never a domain controller}\n",
        },
    )

    action: Annotated[str, Field(min_length=1, max_length=200, description="`connection.action`.")]
    target: Target
    connection: Annotated[
        Name | None, Field(description="Required where `action` does not name it.")
    ] = None
    effect: Annotated[Effect | None, Field(description="Default: the effect of the action.")] = None
    input: Annotated[dict[str, Any], Field(description="The input of the action.")] = {}
    playbook: Annotated[str, Field(max_length=250, description="The playbook that acts.")] = ""
    source: Annotated[Name | None, Field(description="The source of the alert.")] = None
    severity: Annotated[int, Field(ge=0, le=6, description="Of the alert.")] = 0
    at: Annotated[AwareDatetime | None, Field(description="The time; default: now.")] = None
    approved_by: Annotated[
        list[Name],
        Field(max_length=50, description="Groups that approved what a release or restore lifts."),
    ] = []
    tags: Annotated[
        list[Tag],
        Field(max_length=50, description="Of the target, in addition to those of the inventory."),
    ] = []
    policy: Annotated[
        Document | None, Field(description="A draft; default: the policy in force.")
    ] = None


class TestPolicy(RequestModel):
    """A policy and its test cases."""

    __test__ = False
    model_config = example(
        {
            "policy": "rules:\n  - {tags: domain-controller, deny: never a domain controller}\n",
            "tests": "cases:\n  - name: a domain controller is never isolated\n"
            "    given: {action: edr.isolate_host, target: 'host:dc-01', tags: domain-controller}\n"
            "    expect: {verdict: deny}\n",
        }
    )

    policy: Document
    tests: Document


class EngageKillSwitch(RequestModel):
    """A kill switch: stop all changes, or those of one connection, playbook or source."""

    model_config = example(
        {"scope": "source", "name": "edge-ids", "reason": "the sensors are being spoofed"},
        {"scope": "connection", "name": "firewall", "reason": "maintenance", "stop_releases": True},
    )

    scope: Literal["global", "connection", "playbook", "source"]
    name: Annotated[
        Name,
        Field(
            description="The connection or its connector, the playbook or the source;"
            " `*` for the global switch."
        ),
    ] = "*"
    reason: Annotated[Text, Field(min_length=1)]
    stop_releases: Annotated[
        bool, Field(description="Stop releases too, until the switch is lifted.")
    ] = False
