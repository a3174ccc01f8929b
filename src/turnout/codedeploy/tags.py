"""Tags of applications and deployment groups, by ARN.

One of a deployment group means something here, and nothing on AWS: `turnout:target-health` = `ignore` asks for AWS's
laxness. There an all-at-once deployment without a test listener does not wait for the health of its targets,
because their group is behind no listener yet, and succeeds with tasks that answer nothing but errors.
https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html
"""

from __future__ import annotations

from collections.abc import Sequence

from turnout.aws import Answer, Call
from turnout.codedeploy.group_rules import pair_of
from turnout.codedeploy.records import Document, Records
from turnout.errors import AwsError
from turnout.names import is_arn, resource_of
from turnout.owntags import DEPLOYMENT_GROUP, TARGET_HEALTH_TAG, fault_of


def check_tags(tags: Sequence[Document], *, of_group: bool) -> None:
    """Raise InvalidTagsToAddException."""
    for tag in tags:
        if "Key" not in tag:
            raise AwsError("InvalidTagsToAddException", "Each of Tags must have a Key.")
        if fault := fault_of(tag["Key"], tag.get("Value"), DEPLOYMENT_GROUP if of_group else "application"):
            raise AwsError("InvalidTagsToAddException", fault)


def ignores_target_health(group: Document, config: Document) -> bool:
    """Whether a deployment of a group goes on without healthy targets, as AWS's would. Pure."""
    is_asked = any(tag["Key"] == TARGET_HEALTH_TAG and tag.get("Value") == "ignore" for tag in group["tags"])
    has_test = bool(pair_of(group).get("testTrafficRoute"))
    return is_asked and not has_test and config["trafficRoutingConfig"]["type"] == "AllAtOnce"


class Tags:
    _records: Records

    def tag_resource(self, call: Call) -> Answer:
        check_tags(call["Tags"], of_group=_names(call["ResourceArn"])[1] is not None)
        tags = {tag["Key"]: tag for tag in self._tagged(call)["tags"]}
        tags |= {tag["Key"]: tag for tag in call["Tags"]}
        self._set_tags(call, list(tags.values()))
        return {}

    def untag_resource(self, call: Call) -> Answer:
        self._set_tags(call, [tag for tag in self._tagged(call)["tags"] if tag["Key"] not in call["TagKeys"]])
        return {}

    def list_tags_for_resource(self, call: Call) -> Answer:
        return {"Tags": self._tagged(call)["tags"]}

    def _tagged(self, call: Call) -> Document:
        application, group = _names(call["ResourceArn"])
        if group is None:
            return self._records.application(call.region, application)
        return self._records.group(call.region, application, group)

    def _set_tags(self, call: Call, tags: list[Document]) -> None:
        application_name, group_name = _names(call["ResourceArn"])
        document = {**self._tagged(call), "tags": tags}
        with self._records.store.transaction() as tx:
            if group_name is None:
                self._records.applications.put(tx, call.region, application_name, document)
            else:
                application = self._records.application(call.region, application_name)
                self._records.put_group(tx, call.region, application, document)


def _names(resource_arn: str) -> tuple[str, str | None]:
    """(application, deployment group or None) of an ARN."""
    if not is_arn(resource_arn):
        raise AwsError("InvalidArnException", f"Not an ARN: {resource_arn}")
    kind, _, name = resource_of(resource_arn).partition(":")
    if kind == "application":
        return name, None
    if kind == "deploymentgroup" and "/" in name:
        application, _, group = name.partition("/")
        return application, group
    raise AwsError("ArnNotSupportedException", f"Tags belong to applications and deployment groups: {resource_arn}")
