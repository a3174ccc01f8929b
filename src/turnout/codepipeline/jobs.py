"""What an action is given when it begins: variables resolved, inputs found, outputs named, and all of it kept.

Artifacts and variables are looked up over all runs of an execution, so that a retry finds what went before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline import events
from turnout.codepipeline.actions.job import Action, Artifact, Job, artifact_of
from turnout.codepipeline.book import Book
from turnout.codepipeline.records import Action as ActionRow
from turnout.codepipeline.variables import OWN, PIPELINE, Unresolved, resolve
from turnout.errors import StepFailed
from turnout.names import new_alphanumerics, new_uuid
from turnout.runs import Run, Status, Step
from turnout.store import Store


class Jobs:
    def __init__(
        self, store: Store, aws: Aws, clock: Clock, book: Book, actions: Mapping[tuple[str, str], Action]
    ) -> None:
        self._store = store
        self._aws = aws
        self._clock = clock
        self._book = book
        self._actions = actions

    def job_for(self, run: Run, step: Step) -> Job:
        """What the action is given: decided once, when it begins, and kept."""
        declared = step.spec["action"]
        row = self._book.find_action(step.id)
        if row is None:
            row = self._begin(run, step)
        if (unresolved := row.facts.get("unresolved")) is not None:
            raise StepFailed("ConfigurationError", unresolved)
        execution = self._book.find_execution(run.spec["uid"], row.execution_id)
        assert execution is not None
        return Job(
            action_execution_id=row.id,
            step_id=step.id,
            region=run.region,
            pipeline=run.spec["pipeline"]["name"],
            execution_id=row.execution_id,
            stage=row.stage,
            action=row.name,
            configuration=row.input["resolvedConfiguration"],
            inputs={wire["name"]: artifact_of(wire) for wire in row.input["inputArtifacts"]},
            outputs={wire["name"]: artifact_of(wire) for wire in row.outputs},
            revision=execution.revisions.get(declared["name"]),
            deadline_at=step.deadline_at,
            answer=step.answer,
            facts=row.facts,
            keep=lambda facts: self._keep(step.id, facts),
        )

    def _keep(self, step_id: int, facts: dict[str, Any]) -> None:
        with self._store.transaction() as tx:
            self._book.note(tx, step_id, facts)

    def _begin(self, run: Run, step: Step) -> ActionRow:
        """The row of an action: its input resolved, its outputs named."""
        declared, stage = step.spec["action"], step.spec["stage"]
        earlier = [(row, other) for row, other in self._book.actions_in(run.spec["execution"])]
        made = {
            wire["name"]: wire for row, other in earlier if other.status is Status.SUCCEEDED for wire in row.outputs
        }
        configuration, facts = declared.get("configuration", {}), {}
        try:
            resolved = self._resolved(run, declared, earlier)
        except Unresolved as error:
            resolved = configuration
            facts = {"unresolved": f"The configuration of action {declared['name']} cannot be resolved: {error}"}
        prefix = run.spec["pipeline"]["name"][:20]
        row = ActionRow(
            step_id=step.id,
            id=new_uuid(),
            execution_id=run.spec["execution"],
            run_id=run.id,
            stage=stage,
            name=declared["name"],
            input={
                "actionTypeId": declared["actionTypeId"],
                "configuration": configuration,
                "resolvedConfiguration": resolved,
                "roleArn": declared.get("roleArn"),
                "region": run.region,
                "inputArtifacts": [made[wire["name"]] for wire in declared.get("inputArtifacts", [])],
                "namespace": declared.get("namespace"),
            },
            outputs=[
                Artifact(wire["name"], run.spec["bucket"], f"{prefix}/{wire['name'][:10]}/{new_alphanumerics(7)}").wire
                for wire in declared.get("outputArtifacts", [])
            ],
            facts=facts,
            changed_at=self._clock.now(),
        )
        with self._store.transaction() as tx:
            self._book.add_action(tx, row, run.spec["uid"])
            if facts:
                self._book.note(tx, step.id, facts)
            self._aws.announce(tx, events.action_event(run, step, row, "STARTED", self._clock.now()))
        return row

    def _resolved(
        self, run: Run, declared: Mapping[str, Any], earlier: Sequence[tuple[ActionRow, Step]]
    ) -> dict[str, str]:
        execution = self._book.find_execution(run.spec["uid"], run.spec["execution"])
        assert execution is not None
        known: dict[str, Mapping[str, str]] = {
            OWN: {"PipelineExecutionId": execution.id},
            PIPELINE: execution.variables,
        }
        for row, other in earlier:
            if other.status is Status.SUCCEEDED and (namespace := row.input.get("namespace")):
                known[namespace] = row.facts.get("variables", {})
        kind = declared["actionTypeId"]
        json_keys = self._actions[kind["category"], kind["provider"]].provider.json
        return {
            key: resolve(value, known, is_json=key in json_keys)
            for key, value in declared.get("configuration", {}).items()
        }
