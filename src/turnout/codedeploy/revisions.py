"""Application revisions: registered by hand, or by the deployment that used them first."""

from __future__ import annotations

from typing import Any

from turnout.aws import Answer, Call
from turnout.clock import Clock
from turnout.codedeploy.records import Document, Records, check_batch, page
from turnout.codedeploy.source import checked, key_of
from turnout.errors import AwsError
from turnout.runs import Run
from turnout.store import Shelf, Transaction


def remember_use(records: Records, tx: Transaction, run: Run) -> None:
    """The revision of a deployment counts as registered, and used by its group."""
    application = records.application(run.region, run.spec["application"])
    known = _find(records, run.region, application, run.spec["revision"]) or _new(run.spec["revision"], run.created_at)
    info = known["info"]
    info["firstUsedTime"] = info.get("firstUsedTime", run.created_at)
    info["lastUsedTime"] = run.created_at
    info["deploymentGroups"] = sorted({*info["deploymentGroups"], run.spec["deployment_group"]})
    _put(records, tx, run.region, application, known)


class Revisions:
    _records: Records
    _clock: Clock

    def register_application_revision(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        revision = checked(call["revision"])
        known = _find(self._records, call.region, application, revision) or _new(revision, self._clock.now())
        if call.get("description") is not None:
            known["info"]["description"] = call["description"]
        with self._records.store.transaction() as tx:
            _put(self._records, tx, call.region, application, known)
        return {}

    def get_application_revision(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        known = _find(self._records, call.region, application, checked(call["revision"]))
        if known is None:
            raise AwsError("RevisionDoesNotExistException", "No such revision is registered with the application.")
        return {
            "applicationName": call["applicationName"],
            "revision": known["revision"],
            "revisionInfo": known["info"],
        }

    def batch_get_application_revisions(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        check_batch(call["revisions"], 25, "revisions")
        found = [_find(self._records, call.region, application, checked(revision)) for revision in call["revisions"]]
        known = [
            {"revisionLocation": item["revision"], "genericRevisionInfo": item["info"]}
            for item in found
            if item is not None
        ]
        missing = len(found) - len(known)
        message = f"{missing} of the revisions are not registered" if missing else None
        return {"applicationName": call["applicationName"], "revisions": known, "errorMessage": message}

    def list_application_revisions(self, call: Call) -> Answer:
        application = self._records.application(call.region, call["applicationName"])
        found = [item for item in _shelf(self._records).list(call.region, _prefix(application)) if _matches(call, item)]
        sort_by = call.get("sortBy")
        if sort_by is not None:
            found.sort(key=lambda item: item["info"].get(sort_by, 0), reverse=call.get("sortOrder") == "descending")
        by_key = {key_of(item["revision"]): item["revision"] for item in found}
        some, token = page(list(by_key), call.get("nextToken"))
        return {"revisions": [by_key[key] for key in some], "nextToken": token}


def _matches(call: Call, item: Document) -> bool:
    place: dict[str, Any] = item["revision"].get("s3Location") or {}
    deployed, is_used = call.get("deployed", "ignore"), bool(item["info"]["deploymentGroups"])
    return (
        (call.get("s3Bucket") is None or place.get("bucket") == call["s3Bucket"])
        and (call.get("s3KeyPrefix") is None or str(place.get("key", "")).startswith(call["s3KeyPrefix"]))
        and (deployed == "ignore" or is_used == (deployed == "include"))
    )


def _new(revision: Document, at: float) -> Document:
    return {"revision": revision, "info": {"registerTime": at, "deploymentGroups": []}}


def _shelf(records: Records) -> Shelf:
    return Shelf(records.store, "codedeploy.revisions")


def _prefix(application: Document) -> str:
    return f"{application['applicationId']}/"


def _find(records: Records, region: str, application: Document, revision: Document) -> Document | None:
    return _shelf(records).find(region, _prefix(application) + key_of(revision))


def _put(records: Records, tx: Transaction, region: str, application: Document, known: Document) -> None:
    _shelf(records).put(tx, region, _prefix(application) + key_of(known["revision"]), known)
