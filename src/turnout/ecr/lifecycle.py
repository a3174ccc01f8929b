"""Lifecycle policies: what their text means, and which images they expire. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnout.errors import AwsError

DAY_S = 86400.0
MOST_RULES = 50
MOST_WILDCARDS = 4
BY_COUNT, SINCE_PUSHED, SINCE_PULLED = "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled"
UNSUPPORTED = ("sinceImageTransitioned",)


@dataclass(frozen=True)
class Rule:
    priority: int
    tag_status: str
    """tagged, untagged or any."""
    prefixes: tuple[str, ...]
    patterns: tuple[str, ...]
    count_type: str
    count: int
    """Images, or days."""

    def selects(self, tags: Sequence[str]) -> bool:
        """Of several prefixes, or patterns, an image must have a tag for each."""
        if self.tag_status != "tagged":
            return self.tag_status == "any" or not tags
        wanted: list[Callable[[str], bool]] = [_prefixed(prefix) for prefix in self.prefixes]
        wanted += [_patterned(pattern) for pattern in self.patterns]
        return all(any(fits(tag) for tag in tags) for fits in wanted)


@dataclass(frozen=True)
class Candidate:
    """An image that a policy may expire: none that an index names, or that is about another one."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: float
    pulled_at: float | None


@dataclass(frozen=True)
class Expiry:
    image: Candidate
    priority: int
    """Of the rule that expires it."""


def expired(images: Iterable[Candidate], rules: Sequence[Rule], now: float) -> list[Expiry]:
    """What the rules expire, oldest first.

    Every rule looks at all images that it selects, as if nothing had been expired. But an image belongs to the first
    rule (by priority) that selects it: no later one expires it.
    """
    newest_first = sorted(images, key=lambda image: (image.pushed_at, image.digest), reverse=True)
    owner: dict[str, int] = {}
    found: list[Expiry] = []
    for rule in sorted(rules, key=lambda rule: rule.priority):
        selected = [image for image in newest_first if rule.selects(image.tags)]
        for place, image in enumerate(selected, start=1):
            if owner.setdefault(image.digest, rule.priority) == rule.priority and _is_over(rule, image, place, now):
                found.append(Expiry(image, rule.priority))
    return sorted(found, key=lambda expiry: (expiry.image.pushed_at, expiry.image.digest))


def _is_over(rule: Rule, image: Candidate, place: int, now: float) -> bool:
    if rule.count_type == BY_COUNT:
        return place > rule.count
    since = image.pushed_at
    if rule.count_type == SINCE_PULLED and image.pulled_at is not None:
        since = max(since, image.pulled_at)
    return now - since > rule.count * DAY_S


def parse_policy(text: str) -> list[Rule]:
    """Raises InvalidParameterException that names the rule, and NotImplementedException."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _invalid(f"the policy is not JSON: {error}") from error
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not 1 <= len(rules) <= MOST_RULES or set(document) != {"rules"}:
        raise _invalid(f"object has one member, rules: a list of 1 to {MOST_RULES}")
    parsed = [_rule(rule, f"rules[{number}]") for number, rule in enumerate(rules)]
    priorities = [rule.priority for rule in parsed]
    if len(set(priorities)) != len(priorities):
        raise _invalid("rulePriority must be unique")
    last = max(parsed, key=lambda rule: rule.priority)
    if any(rule.tag_status == "any" and rule is not last for rule in parsed):
        raise _invalid("a rule with tagStatus any must have the highest rulePriority")
    if sum(rule.tag_status == "untagged" and rule.count_type == BY_COUNT for rule in parsed) > 1:
        raise _invalid("there can be one rule that counts untagged images")
    return parsed


def _rule(rule: Any, where: str) -> Rule:
    _check_members(rule, where, {"rulePriority", "selection", "action"}, {"description"})
    selection, action = rule["selection"], rule["action"]
    _check_members(
        selection,
        f"{where}.selection",
        {"tagStatus", "countType", "countNumber"},
        {"tagPrefixList", "tagPatternList", "countUnit", "storageClass"},
    )
    _check_members(action, f"{where}.action", {"type"}, {"targetStorageClass"})
    status, count_type = selection["tagStatus"], selection["countType"]
    if action["type"] == "transition" or count_type in UNSUPPORTED or "storageClass" in selection:
        raise AwsError(
            "NotImplementedException", f"{where}: archives of ECR (transition) are not implemented by turnout", 501
        )
    _check(action["type"] == "expire", f"{where}.action.type is {action['type']}: expire is expected")
    _check(status in ("tagged", "untagged", "any"), f"{where}.selection.tagStatus is {status}")
    _check(_is_count(rule["rulePriority"]), f"{where}.rulePriority is a number from 1")
    _check(_is_count(selection["countNumber"]), f"{where}.selection.countNumber is a number from 1")
    prefixes = _texts(selection, "tagPrefixList", where)
    patterns = _texts(selection, "tagPatternList", where)
    if status == "tagged":
        _check(bool(prefixes) != bool(patterns), f"{where}.selection needs one of tagPrefixList and tagPatternList")
    else:
        _check(not prefixes and not patterns, f"{where}.selection names tags, but tagStatus is {status}")
    _check(all(p.count("*") <= MOST_WILDCARDS for p in patterns), f"{where}: at most {MOST_WILDCARDS} wildcards")
    _check(count_type in (BY_COUNT, SINCE_PUSHED, SINCE_PULLED), f"{where}.selection.countType is {count_type}")
    unit = selection.get("countUnit")
    wanted = None if count_type == BY_COUNT else "days"
    _check(unit == wanted, f"{where}.selection.countUnit is {unit}, but {count_type} takes {wanted or 'none'}")
    return Rule(rule["rulePriority"], status, prefixes, patterns, count_type, selection["countNumber"])


def _check_members(value: Any, where: str, required: set[str], optional: set[str]) -> None:
    _check(isinstance(value, Mapping), f"{where} is not an object")
    for name in sorted(required - set(value)):
        raise _invalid(f"{where} has no {name}")
    for name in sorted(set(value) - required - optional):
        raise _invalid(f"{where} has the unknown member {name}")


def _texts(selection: Mapping[str, Any], member: str, where: str) -> tuple[str, ...]:
    given = selection.get(member, [])
    is_right = isinstance(given, list) and all(isinstance(one, str) and one for one in given)
    _check(is_right, f"{where}.selection.{member} is a list of texts")
    return tuple(given)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise _invalid(what)


def _invalid(what: str) -> AwsError:
    return AwsError(
        "InvalidParameterException",
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint:"
        f" 'Lifecycle policy validation failure: {what}'",
    )


def _prefixed(prefix: str) -> Callable[[str], bool]:
    return lambda tag: tag.startswith(prefix)


def _patterned(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return lambda tag: compiled.fullmatch(tag) is not None
