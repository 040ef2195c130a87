"""Test cases of a policy: `policy.tests.yaml`, and the verdict on each case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.assets.facts import asset_facts_from
from orchestrator.assets.match import other_names
from orchestrator.domain.change import PolicyVerdict, Verdict
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.language.yaml import BadYaml, Document, load
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import ChangeFacts, LimitUsage, PolicyInForce, evaluate
from orchestrator.policy.hypothetical_change import HypotheticalChange
from orchestrator.policy.rules import Tags, Word
from orchestrator.store.queries.policy_inputs import KnownAsset

_AT = datetime(
    2026, 1, 7, 12, 0, tzinfo=UTC
)  # a Wednesday at noon, so that results do not depend on today
Kind = Literal["hosts", "users", "addresses", "networks", "domains", "hashes"]


class TestAsset(Frozen):
    """One asset of the inventory of the cases."""

    __test__ = False

    type: ObservableType
    value: Word
    kind: Word = "unknown"
    critical: bool = False
    tags: Tags = ()
    also: tuple[Word, ...] = ()


class GivenUse(Frozen):
    """How many other targets of a kind a limit has counted."""

    kind: Kind
    per: Literal["run", "playbook", "source", "connector", "overall"]
    others: Annotated[int, Field(ge=0, le=2**53)]


class Given(HypotheticalChange):
    """The change of a case, and facts about it."""

    names: tuple[Word, ...] = ()
    known: bool | None = None  # overrides the assets
    internal: bool | None = None  # overrides the assets
    held_by_others: bool = False  # leases of other runs hold the target of a restore
    critical: bool | None = None  # overrides the assets
    used: tuple[GivenUse, ...] = ()


class Expected(Frozen):
    """The expected verdict. An omitted field is not compared."""

    verdict: Verdict
    by: Word | None = None
    quorum: Annotated[int | None, Field(ge=1, le=10)] = None
    rule: Word | None = None


class PolicyCase(Frozen):
    """One case."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    given: Given
    expect: Expected


class PolicyTests(Frozen):
    """A whole policy.tests.yaml."""

    policy: Word = "policy.yaml"  # in the same folder
    assets: Annotated[list[TestAsset], Field(max_length=10_000)] = []
    cases: Annotated[list[PolicyCase], Field(min_length=1, max_length=1_000)]


class CaseResult(Frozen):
    """The result of one case."""

    name: str
    line: int  # of the case in its file
    verdict: Verdict
    rule: str | None
    reasons: tuple[str, ...]
    failure: str | None  # expected and actual verdict; None: as expected


class PolicyTestReport(Frozen):
    """The results of all cases of a policy."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
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
        }
    )

    failures: int
    cases: tuple[CaseResult, ...]


def policy_file_of(text: str, file: str) -> str:
    """Return the file name of the policy that is tested. Raise Invalid as `run_cases` does."""
    return _read(text, file)[0].policy


def run_cases(text: str, file: str, policy: Policy, catalogue: Catalogue) -> tuple[CaseResult, ...]:
    """Evaluate each case. Raise Invalid with file, line, column and fix where the file is wrong."""
    tests, document = _read(text, file)
    inventory = [
        _asset(asset, _place(file, document, ("assets", number)))
        for number, asset in enumerate(tests.assets)
    ]
    in_force = PolicyInForce(0, policy.digest, policy)
    return tuple(
        _result(number, case, inventory, in_force, catalogue, file, document)
        for number, case in enumerate(tests.cases)
    )


def junit_xml(results: Iterable[CaseResult], file: str) -> str:
    """Return the results as JUnit XML, which build servers read."""
    found = [*results]
    suite = Element(
        "testsuite",
        name=file,
        tests=str(len(found)),
        failures=str(sum(result.failure is not None for result in found)),
    )
    for result in found:
        case = SubElement(
            suite,
            "testcase",
            classname="policy",
            name=result.name,
            file=file,
            line=str(result.line),
        )
        if result.failure is not None:
            SubElement(case, "failure", message=result.failure)
    return tostring(suite, encoding="unicode", xml_declaration=True)


def _read(text: str, file: str) -> tuple[PolicyTests, Document]:
    try:
        document = load(text)
        if isinstance(document.data, dict) and "cases" not in document.data:
            raise Invalid(
                f"{file}: has no `cases`; policy tests are a file of their own, such as "
                "policy.tests.yaml next to the policy"
            )
        return PolicyTests.model_validate(document.data), document
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise Invalid(
            "\n".join(_describe(problem, file, document) for problem in problems)
        ) from None


def _describe(problem: Any, file: str, document: Document) -> str:
    place = _place(file, document, problem["loc"], key=problem["type"] == "extra_forbidden")
    name, message = ".".join(map(str, problem["loc"])), problem["msg"]
    return f"{place}: {name}: {message.removeprefix('Value error, ')}"


def _place(file: str, document: Document, path: tuple[str | int, ...], *, key: bool = False) -> str:
    position = document.at(path, key=key)
    return f"{file}:{position.line}:{position.column}"


def _asset(asset: TestAsset, place: str) -> KnownAsset:
    return KnownAsset(
        asset.type.value,
        _at(place, lambda: CANONICAL[asset.type](asset.value)),
        asset.kind,
        asset.critical,
        [*asset.tags],
        _at(place, lambda: other_names(asset.type, asset.also)),
    )


def _at(place: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, Invalid) as error:
        raise Invalid(f"{place}: {error}") from error


def _result(
    number: int,
    case: PolicyCase,
    inventory: list[KnownAsset],
    in_force: PolicyInForce,
    catalogue: Catalogue,
    file: str,
    document: Document,
) -> CaseResult:
    change = _at(
        _place(file, document, ("cases", number, "given", "action")),
        lambda: case.given.change(catalogue),
    )
    verdict = evaluate(
        change, in_force, _facts(case.given, inventory, in_force.policy), case.given.context(_AT)
    )
    return CaseResult(
        name=case.name,
        line=document.at(("cases", number)).line,
        verdict=verdict.outcome,
        rule=verdict.rule,
        reasons=verdict.reasons,
        failure=_failure(case.expect, verdict),
    )


def _facts(given: Given, inventory: list[KnownAsset], policy: Policy) -> ChangeFacts:
    facts = asset_facts_from(inventory, given.target, given.names)
    return ChangeFacts(
        names=tuple(dict.fromkeys((*given.names, *facts.names))),
        tags=tuple(dict.fromkeys((*facts.tags, *given.tags))),
        critical=facts.critical if given.critical is None else given.critical,
        known=facts.known if given.known is None else given.known,
        internal=facts.internal if given.internal is None else given.internal,
        held_by_others=given.held_by_others,
        approved_by=given.approved_by,
        used=tuple(used for each in given.used for used in _used(each, given, policy)),
    )


def _used(use: GivenUse, given: Given, policy: Policy) -> list[LimitUsage]:
    """Return the usage of every limit of the policy that the given use counts toward."""
    source, connector = given.source or "", given.connector or ""
    names = {"playbook": given.playbook, "source": source, "connector": connector}
    counts = (
        [(None, policy.limits.per_run)]
        if use.per == "run"
        else [(one.within, one) for one in policy.limits.windows if one.per == use.per]
    )
    limits = [(within, getattr(each, use.kind)) for within, each in counts]
    return [
        LimitUsage(
            kind=use.kind,
            per=use.per,
            name=names.get(use.per, ""),
            within=within,
            limit=limit,
            others=use.others,
        )
        for within, limit in limits
        if limit is not None
    ]


def _failure(expected: Expected, verdict: PolicyVerdict) -> str | None:
    wanted = {
        name: value for name, value in expected.model_dump(mode="json").items() if value is not None
    }
    given = {"verdict": verdict.outcome.value, **verdict.model_dump(mode="json")}
    came = {name: given[name] for name in wanted}
    if wanted == came:
        return None
    decided = verdict.rule or "a protection or a kill switch"
    return (
        f"expected {_words(wanted)}, got {_words(came)}, decided by {decided}:"
        f" {'; '.join(verdict.reasons)}"
    )


def _words(fields: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value if value is not None else 'every approver'}"
        for name, value in fields.items()
    )
