"""Is a policy read as written, and a bad one told about with place and mend?"""

from __future__ import annotations

import pytest

from orchestrator.domain.effect import Effect
from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import DEFAULT_POLICY, Policy, parse_policy


def test_the_policy_of_a_first_start_is_read() -> None:
    policy = parse_policy(DEFAULT_POLICY)
    assert [rule.effect for rule in policy.approve] == [Effect.DESTROY, Effect.CONTAIN]
    assert policy.limits.per_run.hosts == 10


def test_an_empty_mapping_is_the_defaults() -> None:
    assert parse_policy("{}") == Policy()


def test_names_are_kept_in_their_canonical_spelling() -> None:
    policy = parse_policy("protect: {addresses: ['::ffff:192.0.2.1'], hosts: [DC-01.], domains: [Corp.Example.]}")
    assert policy.protect.addresses == ("192.0.2.1",)
    assert policy.protect.hosts == ("dc-01",)
    assert policy.protect.domains == ("corp.example",)


def test_the_same_policy_written_otherwise_has_the_same_digest() -> None:
    assert parse_policy("approve: [destroy]").digest == parse_policy("approve:\n  - {effect: destroy}\n").digest


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("protect:\n  adresses: []\n", "p.yaml:2:3", "did you mean 'addresses'?"),
        ("limits:\n  per_run:\n    hosts: -1\n", "p.yaml:3:12", "greater than or equal to 0"),
        ("approve:\n  - dstroy\n", "p.yaml:2:5", "'destroy'"),
        ("approve:\n  - {effect: read}\n", "p.yaml:2:5", "reads are never asked about"),
        ("approve:\n  - {quorum: 2}\n", "p.yaml:2:5", "fits nothing in particular"),
        ("protect:\n  addresses: [evil]\n", "p.yaml:2:15", "evil"),
        ("protect: {hosts: [a], hosts: [b]}\n", "p.yaml:1:23", "there twice"),
        ("- a\n", "p.yaml:1:1", "a policy is a mapping"),
        ("widest_network: {ipv4: 0}\n", "p.yaml:1:24", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_told_with_place_and_mend(text: str, place: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(text, "p.yaml")
    assert str(caught.value).startswith(place)
    assert said in str(caught.value)
