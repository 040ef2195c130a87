"""What does it take to ask what a policy would say, and what comes back?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from api.schemas.request_model import Document, Name, Written, example
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import Target
from orchestrator.policy.tests import CaseResult

Tag = Annotated[str, Field(min_length=1, max_length=64)]


class EvaluatePolicy(Written):
    """A change that nobody planned. `policy`: a draft; left out, the policy in force."""

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
    connection: Annotated[Name | None, Field(description="Where `action` does not name it.")] = None
    effect: Annotated[
        Effect | None, Field(description="Left out, the one that the action has.")
    ] = None
    input: Annotated[dict[str, Any], Field(description="What the action is given.")] = {}
    playbook: Annotated[str, Field(max_length=250, description="On whose behalf.")] = ""
    source: Annotated[Name | None, Field(description="Where the alert came from.")] = None
    severity: Annotated[int, Field(ge=0, le=6, description="Of the alert.")] = 0
    at: Annotated[AwareDatetime | None, Field(description="When; else now.")] = None
    tags: Annotated[
        list[Tag], Field(max_length=50, description="Of the target, beside those of the inventory.")
    ] = []
    policy: Document | None = None


class TestPolicy(Written):
    """A policy, and the tests beside it."""

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


class TestedPolicy(BaseModel):
    """What came of each case."""

    __test__ = False
    model_config = example(
        {
            "failures": 0,
            "cases": [
                {
                    "name": "a domain controller is never isolated",
                    "line": 2,
                    "verdict": "deny",
                    "rule": "rule 1 (line 2)",
                    "reasons": [
                        "rule 1 (line 2) of the policy denies it: never a domain controller"
                    ],
                    "failure": None,
                }
            ],
        }
    )

    failures: int
    cases: list[CaseResult]


EXPLANATION = {
    "verdict": {
        "outcome": "ask",
        "reasons": [
            "default:critical of the policy wants a person to agree with edr.isolate_host (contain)"
        ],
        "policy_version": 2,
        "policy_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "by": None,
        "quorum": 1,
        "rule": "default:critical",
    },
    "names": ["dc-01"],
    "tags": ["critical"],
    "known": True,
    "protections": [],
    "switches": [],
    "rules": [
        {
            "name": "default:critical",
            "line": None,
            "verdict": "ask",
            "fits": True,
            "decides": True,
            "conditions": [
                {"name": "tags", "wanted": "critical", "found": "critical", "holds": True}
            ],
        }
    ],
    "limits": [],
    "breaker": None,
}
