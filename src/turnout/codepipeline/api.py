"""The room codepipeline: its operations, gathered, and what it is made of.

Operations: CreatePipeline, GetPipeline, UpdatePipeline, DeletePipeline, ListPipelines, ListActionTypes (definitions),
TagResource, UntagResource, ListTagsForResource (definitions), GetPipelineState (state), StartPipelineExecution,
StopPipelineExecution (executions), GetPipelineExecution, ListPipelineExecutions, ListActionExecutions (history),
RetryStageExecution, PutApprovalResult, DisableStageTransition, EnableStageTransition (control).
"""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codepipeline.actions import every_action
from turnout.codepipeline.book import Book
from turnout.codepipeline.control import Control
from turnout.codepipeline.definitions import Definitions
from turnout.codepipeline.executions import Executions
from turnout.codepipeline.history import History
from turnout.codepipeline.pipelines import Pipelines
from turnout.codepipeline.plan import ExecutionPlan
from turnout.codepipeline.poll import PollPlan
from turnout.codepipeline.records import SCHEMA
from turnout.codepipeline.starting import Starting
from turnout.codepipeline.state import State
from turnout.config import Config
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Migrations, Store

MIGRATIONS: Migrations = SCHEMA


class CodePipeline(Definitions, Executions, History, State, Control):
    """`heard` is to be told every event: pushes start pipelines."""

    SERVICE = "codepipeline"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.book = Book(store, runs, clock)
        self.pipelines = Pipelines(store)
        self.actions = every_action(aws, clock)
        self.starting = Starting(runs, aws, clock, self.book, self.actions)
        self.plan = ExecutionPlan(store, runs, aws, clock, self.book, self.pipelines, self.actions)
        self.polling = PollPlan(runs, aws, self.pipelines, self.starting)
        self.plans: list[Plan] = [self.plan, self.polling]

    async def start(self) -> None:
        """Nothing to put right: everything is in the rows."""

    async def close(self) -> None:
        """Nothing is held."""
