"""Task definitions: register, describe, list, deregister, delete."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.ecs.container_rules import completed_check
from turnout.ecs.definition_rows import parsed
from turnout.ecs.definition_rules import check_definition, compatibilities_of, mode_of
from turnout.ecs.pages import page
from turnout.ecs.room import Room
from turnout.errors import AwsError
from turnout.names import arn, is_arn
from turnout.store import Transaction

MOST_DELETED = 10


class TaskDefinitions(Room):
    def register_task_definition(self, call: Call) -> Answer:
        cause = call.cause and f"{call.cause}/RegisterTaskDefinition"
        if known := self.definitions.of_cause(cause):
            return {"taskDefinition": known, "tags": self.tags_of(call.region, known["taskDefinitionArn"])}
        check_definition(call.input)
        tags = call.get("tags", [])
        body = {name: value for name, value in call.input.items() if name != "tags"}
        body["containerDefinitions"] = [_completed(c, mode_of(body)) for c in body["containerDefinitions"]]
        body |= {
            "volumes": body.get("volumes", []),
            "placementConstraints": body.get("placementConstraints", []),
            "compatibilities": compatibilities_of(body),
            "registeredAt": self.clock.now(),
            "registeredBy": call.principal,
        }
        with self.store.transaction() as tx:
            made = self.definitions.insert(tx, call.region, body, cause)
            self.put_tags(tx, call.region, made["taskDefinitionArn"], tags)
        return {"taskDefinition": made, "tags": tags}

    def describe_task_definition(self, call: Call) -> Answer:
        body = self.find_definition(call.region, call["taskDefinition"])
        if body is None:
            raise AwsError("ClientException", "Unable to describe task definition.")
        answer: Answer = {"taskDefinition": body}
        if "TAGS" in call.get("include", ()):
            answer["tags"] = self.tags_of(call.region, body["taskDefinitionArn"])
        return answer

    def list_task_definitions(self, call: Call) -> Answer:
        pairs = self.definitions.revisions(call.region, call.get("status", "ACTIVE"), call.get("familyPrefix"))
        if call.get("sort") == "DESC":
            pairs.reverse()
        arns = [arn("ecs", call.region, f"task-definition/{family}:{revision}") for family, revision in pairs]
        return page(call, "taskDefinitionArns", arns)

    def list_task_definition_families(self, call: Call) -> Answer:
        prefix = call.get("familyPrefix", "")
        families = self.definitions.families(call.region, call.get("status", "ACTIVE"))
        return page(call, "families", [family for family in families if family.startswith(prefix)])

    def deregister_task_definition(self, call: Call) -> Answer:
        family, revision = parsed(call["taskDefinition"])
        if revision is None:
            raise AwsError("ClientException", "The task definition revision must be given: family:revision.")
        body = self.definitions.find(call.region, family, revision)
        if body is None or body["status"] == "DELETE_IN_PROGRESS":
            raise AwsError("ClientException", "The specified task definition does not exist.")
        if body["status"] == "ACTIVE":
            body |= {"status": "INACTIVE", "deregisteredAt": self.clock.now()}
            with self.store.transaction() as tx:
                self.definitions.put(tx, call.region, body)
        return {"taskDefinition": body}

    def delete_task_definitions(self, call: Call) -> Answer:
        """INACTIVE revisions become DELETE_IN_PROGRESS, and are gone when no task or service uses them."""
        wanted = call["taskDefinitions"]
        if not 1 <= len(wanted) <= MOST_DELETED:
            raise AwsError("InvalidParameterException", f"Between 1 and {MOST_DELETED} task definitions can be given.")
        deleted: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        with self.store.transaction() as tx:
            for text in wanted:
                family, revision = parsed(text)
                body = self.definitions.find(call.region, family, revision) if revision else None
                named = text if is_arn(text) else arn("ecs", call.region, f"task-definition/{text}")
                if body is None:
                    failures.append({"arn": named, "reason": "TASK_DEFINITION_NOT_FOUND"})
                elif body["status"] == "ACTIVE":
                    detail = "The specified task definition is still in ACTIVE status. Please deregister the target."
                    failures.append({"arn": named, "reason": "TASK_DEFINITION_ACTIVE", "detail": detail})
                else:
                    body |= {"status": "DELETE_IN_PROGRESS", "deleteRequestedAt": self.clock.now()}
                    self.definitions.put(tx, call.region, body)
                    deleted.append(body)
            self.purge_definitions(tx)
        return {"taskDefinitions": deleted, "failures": failures}

    def purge_definitions(self, tx: Transaction) -> None:
        """Forget the revisions whose deletion was asked for and that nobody uses any longer."""
        for region, body in self.definitions.being_deleted():
            name = body["taskDefinitionArn"]
            if not self.sets.uses(name) and not self.tasks.uses(name):
                self.definitions.delete(tx, region, body)
                self.put_tags(tx, region, name, [])

    def find_definition(self, region: str, text: str) -> dict[str, Any] | None:
        """By family (the latest ACTIVE revision), family:revision or ARN."""
        family, revision = parsed(text)
        return self.definitions.find(region, family, revision)

    def usable_definition(self, region: str, text: str) -> dict[str, Any]:
        """One that tasks may be started from. Raises ClientException."""
        body = self.find_definition(region, text)
        if body is None:
            raise AwsError("ClientException", "TaskDefinition not found.")
        if body["status"] != "ACTIVE":
            raise AwsError("ClientException", "TaskDefinition is inactive")
        return body


def _completed(container: dict[str, Any], mode: str) -> dict[str, Any]:
    """A container definition with the members that AWS adds."""
    mappings = [
        {
            **mapping,
            **({"hostPort": mapping.get("hostPort", _host_port(mapping, mode))} if "containerPort" in mapping else {}),
            "protocol": mapping.get("protocol", "tcp"),
        }
        for mapping in container.get("portMappings", [])
    ]
    return {
        "cpu": 0,
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        **container,
        "portMappings": mappings,
        **({"healthCheck": completed_check(container["healthCheck"])} if container.get("healthCheck") else {}),
    }


def _host_port(mapping: dict[str, Any], mode: str) -> int:
    return int(mapping["containerPort"]) if mode in ("awsvpc", "host") else 0
