"""Applications: the names under which deployment groups live. Only the compute platform ECS."""

from __future__ import annotations

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codedeploy.records import Records, check_batch, page, without_tags
from turnout.codedeploy.tags import check_tags
from turnout.errors import AwsError
from turnout.names import new_uuid


class Applications:
    _records: Records
    _clock: Clock

    def create_application(self, call: Call) -> Answer:
        name, platform = call["applicationName"], call.get("computePlatform", "Server")
        if platform != "ECS":
            raise AwsError(
                "InvalidComputePlatformException",
                f"turnout deploys to Amazon ECS only: computePlatform must be ECS, not {platform}"
                " (AWS takes Server when it is left out).",
            )
        if self._records.applications.find(call.region, name) is not None:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists: {name}")
        check_tags(call.get("tags", []), of_group=False)
        application = {
            "applicationId": new_uuid(),
            "applicationName": name,
            "createTime": self._clock.now(),
            "linkedToGitHub": False,
            "computePlatform": platform,
            "tags": call.get("tags", []),
        }
        with self._records.store.transaction() as tx:
            self._records.applications.put(tx, call.region, name, application)
        return {"applicationId": application["applicationId"]}

    def get_application(self, call: Call) -> Answer:
        return {"application": without_tags(self._records.application(call.region, call["applicationName"]))}

    def batch_get_applications(self, call: Call) -> Answer:
        names = call["applicationNames"]
        check_batch(names, 100, "applications")
        return {"applicationsInfo": [without_tags(self._records.application(call.region, name)) for name in names]}

    def list_applications(self, call: Call) -> Answer:
        names = [application["applicationName"] for application in self._records.applications.list(call.region)]
        some, token = page(names, call.get("nextToken"))
        return {"applications": some, "nextToken": token}

    def update_application(self, call: Call) -> Answer:
        name, new_name = call.get("applicationName"), call.get("newApplicationName")
        if name is None:
            raise AwsError("ApplicationNameRequiredException", "applicationName is required.")
        application = self._records.application(call.region, name)
        if new_name is None or new_name == name:
            return {}
        if self._records.applications.find(call.region, new_name) is not None:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists: {new_name}")
        with self._records.store.transaction() as tx:
            self._records.applications.delete(tx, call.region, name)
            self._records.applications.put(tx, call.region, new_name, {**application, "applicationName": new_name})
        return {}

    def delete_application(self, call: Call) -> Answer:
        """Its deployment groups go with it; what is being deployed goes on, its input is frozen."""
        application = self._records.applications.find(call.region, call["applicationName"])
        if application is None:
            return {}
        with self._records.store.transaction() as tx:
            for group in self._records.groups_of(call.region, application):
                key = f"{application['applicationId']}/{group['deploymentGroupName']}"
                self._records.groups.delete(tx, call.region, key)
            self._records.applications.delete(tx, call.region, call["applicationName"])
        return {}
