"""The drift guard reads Terraform's plan and the live weights, and says in words what would go wrong."""

from __future__ import annotations

from typing import Any

from turnout.cli.blueprint.guard import UNKNOWN, dangers

BLUE = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/shop-blue/1"
GREEN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/shop-green/2"
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/shop/3/4"


class Now:
    """Green serves with two targets; blue is empty."""

    def __init__(self, blue: tuple[int, int] = (0, 0), share: int = 0) -> None:
        self._health = {BLUE: blue, GREEN: (2, 2), UNKNOWN: (0, 0)}
        self._shares = {BLUE: share, GREEN: 100 - share}

    def shares(self, arn: str) -> dict[str, int]:
        return self._shares if arn == LISTENER else {}

    def health(self, group_arn: str) -> tuple[int, int]:
        return self._health[group_arn]

    def leads_to(self, group_arn: str) -> bool:
        return bool(self._shares[group_arn])


def plan(kind: str, actions: list[str], before: dict[str, Any], after: dict[str, Any] | None, **more: Any) -> Any:
    change = {"actions": actions, "before": before, "after": after, **more}
    return {"resource_changes": [{"address": f"{kind}.production", "type": kind, "change": change}]}


def listener(after: list[Any] | None, actions: tuple[str, ...] = ("update",), **more: Any) -> Any:
    then = None if after is None else {"default_action": after}
    return plan("aws_lb_listener", list(actions), {"arn": LISTENER}, then, **more)


TO_BLUE = [{"type": "forward", "target_group_arn": BLUE, "forward": []}]
SERVES = "it leads 100 % to shop-green (2 of 2 targets healthy) now."


def test_an_apply_that_leads_production_to_the_empty_colour_is_told() -> None:
    assert dangers(listener(TO_BLUE), Now()) == [
        f"aws_lb_listener.production would lead 100 % to shop-blue (0 of 0 targets healthy); {SERVES}"
    ]


def test_a_colour_with_unhealthy_targets_alone_is_a_danger_and_a_healthy_one_is_none() -> None:
    assert "0 of 2 targets healthy" in dangers(listener(TO_BLUE), Now(blue=(0, 2)))[0]
    assert dangers(listener(TO_BLUE), Now(blue=(2, 2))) == []


def test_weights_that_give_the_empty_colour_a_part_are_a_danger_and_those_of_now_are_none() -> None:
    def weighted(blue: int, green: int) -> Any:
        groups = [{"arn": BLUE, "weight": blue}, {"arn": GREEN, "weight": green}]
        return listener([{"type": "forward", "target_group_arn": "", "forward": [{"target_group": groups}]}])

    assert "10 % to shop-blue" in dangers(weighted(10, 90), Now())[0]
    assert dangers(weighted(0, 100), Now()) == []


def test_a_target_group_that_is_still_to_be_made_is_empty() -> None:
    after = [{"type": "forward", "forward": []}]
    said = dangers(listener(after, after_unknown={"default_action": [{"target_group_arn": True}]}), Now())
    assert "still to be made (0 of 0 targets healthy)" in said[0]


def test_deleting_replacing_and_closing_a_listener_that_serves_are_dangers() -> None:
    assert dangers(listener(None, ("delete",)), Now()) == [f"aws_lb_listener.production would be deleted; {SERVES}"]
    again = [{"type": "forward", "target_group_arn": GREEN, "forward": []}]
    assert "would be replaced" in dangers(listener(again, ("delete", "create")), Now())[0]
    assert "would lead nobody" in dangers(listener([{"type": "fixed-response"}]), Now())[0]


def test_taking_away_the_target_group_or_the_tasks_that_serve_is_a_danger() -> None:
    def group(arn: str) -> Any:
        return plan("aws_lb_target_group", ["delete", "create"], {"arn": arn}, {})

    assert "shop-green (2 of 2 targets healthy) serves now" in dangers(group(GREEN), Now())[0]
    assert dangers(group(BLUE), Now()) == []
    service = {"desired_count": 2}
    assert "2 tasks" in dangers(plan("aws_ecs_service", ["delete", "create"], service, service), Now())[0]
    assert "2 tasks" in dangers(plan("aws_ecs_service", ["update"], service, {"desired_count": 0}), Now())[0]


def test_what_is_made_or_stays_is_no_danger() -> None:
    assert dangers(listener(TO_BLUE, ("no-op",)), Now()) == []
    made = plan("aws_lb_listener", ["create"], {}, {"default_action": TO_BLUE})
    assert dangers(made, Now()) == []
