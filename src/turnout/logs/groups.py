"""Log groups: moto keeps their records; what hangs on them is ours."""

from __future__ import annotations

import re
from typing import Any

from turnout.aws import Answer, Call, Others
from turnout.clock import Clock
from turnout.errors import AwsError
from turnout.logs.batch import DAY_MS
from turnout.logs.tables import Tables
from turnout.store import Store

_ARN = re.compile(r"arn:[^:]+:logs:[^:]*:\d*:log-group:(?P<name>[^:]+)")


class Groups:
    """The operations on groups that concern their streams; and what the other operations ask about groups."""

    def __init__(self, store: Store, clock: Clock, others: Others) -> None:
        self._store = store
        self._clock = clock
        self._others = others
        self._tables = Tables(store)

    def delete_log_group(self, call: Call) -> Answer:
        self._get_group(call.region, call["logGroupName"])
        # The streams go first: killed in between, the group is still there to be deleted again.
        with self._store.transaction() as tx:
            self._tables.delete_group(tx, call.region, call["logGroupName"])
        return self._others.call("logs", "DeleteLogGroup", call.region, call.input)

    def describe_log_groups(self, call: Call) -> Answer:
        answer = self._others.call("logs", "DescribeLogGroups", call.region, call.input)
        for group in answer.get("logGroups", []):
            group["storedBytes"] = self._tables.stored_bytes(call.region, group["logGroupName"])
        return answer

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _get_group(self, region: str, name: str) -> dict[str, Any]:
        """moto's description of a group. Raises AwsError ResourceNotFoundException."""
        token: dict[str, Any] = {}
        while True:
            page = self._others.call("logs", "DescribeLogGroups", region, {"logGroupNamePrefix": name, **token})
            for group in page["logGroups"]:
                if group["logGroupName"] == name:
                    return dict(group)
            if "nextToken" not in page:
                raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
            token = {"nextToken": page["nextToken"]}

    def _oldest_ms(self, group: dict[str, Any]) -> int:
        """What is older than this has outlived the group's retention."""
        days = group.get("retentionInDays")
        return self._now_ms() - days * DAY_MS if days else 0

    def _named_group(self, call: Call) -> str:
        """The name of the group that a reading operation asks for, by name or by ARN."""
        name, identifier = call.get("logGroupName"), call.get("logGroupIdentifier")
        if (name is None) == (identifier is None):
            message = "Exactly one of logGroupName and logGroupIdentifier must be specified."
            raise AwsError("InvalidParameterException", message)
        if name is None and (arn := _ARN.fullmatch(identifier)):
            return arn["name"]
        return str(name or identifier)
