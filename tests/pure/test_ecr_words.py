"""Lifecycle rules, as AWS's guide tells them by example; and where a registry's names lead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from turnout.ecr.lifecycle import Candidate, expired, parse_policy
from turnout.ecr.mutability import is_immutable
from turnout.errors import AwsError
from turnout.registry import Registry

DAY_S = 86400.0
NOW = 100 * DAY_S


def image(name: str, age_days: float, *tags: str, pulled_days_ago: float | None = None) -> Candidate:
    pulled_at = None if pulled_days_ago is None else NOW - pulled_days_ago * DAY_S
    return Candidate(name, tags, NOW - age_days * DAY_S, pulled_at)


def rule(priority: int, status: str, count_type: str, count: int, **more: Any) -> dict[str, Any]:
    unit = {} if count_type == "imageCountMoreThan" else {"countUnit": "days"}
    selection = {"tagStatus": status, "countType": count_type, "countNumber": count, **unit, **more}
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


def result(images: list[Candidate], *rules: dict[str, Any]) -> list[tuple[str, int]]:
    parsed = parse_policy(json.dumps({"rules": list(rules)}))
    return [(one.image.digest, one.priority) for one in expired(images, parsed, NOW)]


A, B, C = image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"), image("C", 8, "beta-3")


def test_an_image_of_an_earlier_rule_is_not_expired_by_a_later_one() -> None:
    prod = rule(1, "tagged", "imageCountMoreThan", 1, tagPrefixList=["prod"])
    beta = rule(2, "tagged", "imageCountMoreThan", 1, tagPrefixList=["beta"])
    assert result([A, B, C], prod, beta) == [("A", 1)]


def test_the_order_of_rules_is_that_of_their_priority() -> None:
    beta = rule(1, "tagged", "imageCountMoreThan", 1, tagPrefixList=["beta"])
    prod = rule(2, "tagged", "imageCountMoreThan", 1, tagPrefixList=["prod"])
    assert result([A, B, C], prod, beta) == [("A", 1), ("B", 1)]


def test_of_several_prefixes_an_image_has_all() -> None:
    both = rule(1, "tagged", "sinceImagePushed", 1, tagPrefixList=["beta", "prod"])
    assert result([A, B, C], both) == [("A", 1), ("B", 1)]


def test_a_pattern_fits_the_whole_tag() -> None:
    images = [image("1", 9, "v1.2"), image("2", 8, "v1.2-rc"), image("3", 7, "xv1.2"), image("4", 6, "v1x2")]
    assert result(images, rule(1, "tagged", "sinceImagePushed", 1, tagPatternList=["v1.*"])) == [("1", 1), ("2", 1)]
    assert result(images, rule(1, "tagged", "sinceImagePushed", 1, tagPatternList=["*1.2"])) == [("1", 1), ("3", 1)]


def test_any_takes_what_no_other_rule_has() -> None:
    images = [image("old", 50), image("tagged", 40, "prod-1"), image("new", 1)]
    keep = rule(1, "tagged", "imageCountMoreThan", 5, tagPrefixList=["prod"])
    assert result(images, keep, rule(2, "any", "sinceImagePushed", 14)) == [("old", 2)]


def test_an_image_is_as_old_as_its_last_pull_where_the_rule_says_so() -> None:
    images = [image("pulled", 50, pulled_days_ago=2), image("forgotten", 50, pulled_days_ago=40), image("never", 31)]
    assert result(images, rule(1, "any", "sinceImagePulled", 30)) == [("forgotten", 1), ("never", 1)]


def test_a_day_is_over_when_it_is_over() -> None:
    week = rule(1, "untagged", "sinceImagePushed", 7)
    assert result([image("seven", 7), image("more", 7.001), image("tagged", 9, "x")], week) == [("more", 1)]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([], "1 to 50"),
        ([rule(1, "any", "imageCountMoreThan", 1), rule(2, "untagged", "imageCountMoreThan", 1)], "highest"),
        ([rule(1, "untagged", "imageCountMoreThan", 1)] * 2, "unique"),
        ([rule(1, "any", "imageCountMoreThan", 1, countUnit="days")], "takes none"),
        ([rule(1, "any", "imageCountMoreThan", 1, tagPrefixList=["x"])], "names tags"),
        ([rule(1, "tagged", "imageCountMoreThan", 1, tagPatternList=["*****"])], "wildcards"),
        ([rule(1, "tagged", "imageCountMoreThan", 1, tagPatternList=["x"], tagPrefixList=["x"])], "one of"),
        ([rule(0, "any", "imageCountMoreThan", 1)], r"rules\[0\].rulePriority"),
        ([rule(1, "any", "imageCountMoreThan", 1, surprise=1)], "surprise"),
        ([{"rulePriority": 1}], r"rules\[0\] has no action"),
        (["x"], "not an object"),
    ],
)
def test_a_rule_that_is_wrong_is_named(rules: list[Any], says: str) -> None:
    with pytest.raises(AwsError, match=says) as caught:
        parse_policy(json.dumps({"rules": rules}))
    assert caught.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("mutability", "filters", "tag", "stays"),
    [
        ("MUTABLE", [], "latest", False),
        ("IMMUTABLE", [], "latest", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "dev-", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "my-dev-1", True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "v1", True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "latest", False),
    ],
)
def test_which_tags_stay(mutability: str, filters: list[str], tag: str, stays: bool) -> None:
    settings = {"imageTagMutability": mutability}
    settings |= {"imageTagMutabilityExclusionFilters": [{"filter": one} for one in filters]} if filters else {}
    assert is_immutable(settings, tag) is stays


def test_a_registrys_names_lead_where_they_say() -> None:
    registry = Registry("127.0.0.1:4566", "us-east-1")
    for region, name in (("us-east-1", "a/b"), ("eu-west-1", "a/b"), ("us-gov-west-1", "x")):
        path = registry.uri(region, name).removeprefix("127.0.0.1:4566/")
        assert registry.repository_at(path) == ("000000000000", region, name)
    assert registry.is_here("localhost:4566")
    assert not registry.is_here("localhost:5000")
    assert not registry.is_here("example.com:4566")
