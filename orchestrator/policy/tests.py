"""What has a policy to say in the cases beside it, and does it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from pydantic import Field, ValidationError

from orchestrator.assets.facts import said_by
from orchestrator.domain.change import PolicyVerdict, Verdict
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.language.yaml import BadYaml, Document, load
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import Facts, InForce, Used, evaluate
from orchestrator.policy.hypothetical import Imagined
from orchestrator.policy.rules import Tags, Word
from orchestrator.store.queries.policy_inputs import KnownAsset

_AT = datetime(
    2026, 1, 7, 12, 0, tzinfo=UTC
)  # a Wednesday at noon: a test says the same on every day
Kind = Literal["hosts", "users", "addresses", "networks", "domains", "hashes"]


class TestAsset(Frozen):
    """One thing of the inventory that the cases see."""

    __test__ = False

    type: ObservableType
    value: Word
    kind: Word = "unknown"
    critical: bool = False
    tags: Tags = ()


class GivenUse(Frozen):
    """How many others of a kind were touched already, in the eyes of the limits `per` run, or of a window."""

    kind: Kind
    per: Literal["run", "playbook", "source", "connector", "overall"]
    others: Annotated[int, Field(ge=0, le=2**53)]


class Given(Imagined):
    """The change of a case. `known`, `critical`: in the place of what the assets say."""

    names: tuple[Word, ...] = ()
    known: bool | None = None
    critical: bool | None = None
    used: tuple[GivenUse, ...] = ()


class Expected(Frozen):
    """What the policy has to say. Left out: not looked at."""

    verdict: Verdict
    by: Word | None = None
    quorum: Annotated[int | None, Field(ge=1, le=10)] = None
    rule: Word | None = None


class Case(Frozen):
    """One case."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    given: Given
    expect: Expected


class PolicyTests(Frozen):
    """A whole policy.tests.yaml. `policy`: the file beside it."""

    policy: Word = "policy.yaml"
    assets: Annotated[list[TestAsset], Field(max_length=10_000)] = []
    cases: Annotated[list[Case], Field(min_length=1, max_length=1_000)]


class CaseResult(Frozen):
    """What came of a case. `failure`: what was expected and what came; None: as expected. `line`: where the case stands."""

    name: str
    line: int
    verdict: Verdict
    rule: str | None
    reasons: tuple[str, ...]
    failure: str | None


def policy_beside(text: str, file: str) -> str:
    """The name of the policy that a file of tests is about. Raises Invalid as `run_cases` does."""
    return _read(text, file)[0].policy


def run_cases(text: str, file: str, policy: Policy, catalogue: Catalogue) -> tuple[CaseResult, ...]:
    """Judges each case. Raises Invalid with file, line, column and mend where the file itself is wrong."""
    tests, document = _read(text, file)
    inventory = [
        _asset(asset, _place(file, document, ("assets", number)))
        for number, asset in enumerate(tests.assets)
    ]
    in_force = InForce(0, policy.digest, policy)
    return tuple(
        _result(number, case, inventory, in_force, catalogue, file, document)
        for number, case in enumerate(tests.cases)
    )


def junit_xml(results: Iterable[CaseResult], file: str) -> str:
    """The results as build servers read them."""
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
        return PolicyTests.model_validate(document.data), document
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    except ValidationError as error:
        raise Invalid(
            "\n".join(
                f"{_place(file, document, problem['loc'], key=problem['type'] == 'extra_forbidden')}: "
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors(include_url=False, include_context=False)
            )
        ) from None


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
    )


def _at(place: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, Invalid) as error:
        raise Invalid(f"{place}: {error}") from error


def _result(
    number: int,
    case: Case,
    inventory: list[KnownAsset],
    in_force: InForce,
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


def _facts(given: Given, inventory: list[KnownAsset], policy: Policy) -> Facts:
    said = said_by(inventory, given.target, given.names)
    return Facts(
        names=given.names,
        tags=tuple(dict.fromkeys((*said.tags, *given.tags))),
        critical=said.critical if given.critical is None else given.critical,
        known=said.known if given.known is None else given.known,
        used=tuple(used for each in given.used for used in _used(each, given, policy)),
    )


def _used(use: GivenUse, given: Given, policy: Policy) -> list[Used]:
    """Every limit of the policy that counts what is given."""
    names = {
        "playbook": given.playbook,
        "source": given.source or "",
        "connector": given.connector or "",
    }
    counts = (
        [(None, policy.limits.per_run)]
        if use.per == "run"
        else [(one.within, one) for one in policy.limits.windows if one.per == use.per]
    )
    limits = [(within, getattr(each, use.kind)) for within, each in counts]
    return [
        Used(
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
    came = {name: verdict.model_dump(mode="json")[name] for name in wanted}
    if wanted == came:
        return None
    decided = verdict.rule or "a protection or a kill switch"
    return f"expected {_words(wanted)}; it is {_words(came)}: {decided} decided: {'; '.join(verdict.reasons)}"


def _words(fields: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value if value is not None else 'nobody in particular'}"
        for name, value in fields.items()
    )
