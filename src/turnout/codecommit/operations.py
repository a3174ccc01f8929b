"""What every operation of CodeCommit is made with."""

from __future__ import annotations

from turnout.aws import Aws
from turnout.clock import Clock
from turnout.codecommit.announcements import Announcements
from turnout.codecommit.git import Git
from turnout.codecommit.records import Records
from turnout.config import Config
from turnout.runner import Plan
from turnout.runs import Runs
from turnout.store import Store


class Operations:
    """The parts of the room, made once. The room has no runs of its own: a push is one transaction."""

    SERVICE = "codecommit"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        self.store = store
        self.aws = aws
        self.clock = clock
        self.config = config
        self.git = Git()
        self.records = Records(store, config, self.git)
        self.announcements = Announcements(self.records, aws, clock)
        self.plans: list[Plan] = []
