"""What every operation of ECR is made with."""

from __future__ import annotations

from turnout.aws import Aws, Call
from turnout.clock import Clock
from turnout.config import Config
from turnout.ecr.blobs import Blobs
from turnout.ecr.pushing import Pushing
from turnout.ecr.records import Records, Repository
from turnout.ecr.uploads import Uploads
from turnout.names import ACCOUNT, DEFAULT_REGION
from turnout.runs import Runs, StepSpec
from turnout.store import Store, Transaction

SWEEP = "ecr.sweep"


class Operations:
    """The parts of the room, made once."""

    SERVICE = "ecr"

    def __init__(self, store: Store, runs: Runs, aws: Aws, clock: Clock, config: Config) -> None:
        self.store = store
        self.runs = runs
        self.aws = aws
        self.clock = clock
        self.config = config
        self.records = Records(store)
        self.blobs = Blobs(config.images)
        self.uploads = Uploads(self.records, self.blobs, clock)
        self.pushing = Pushing(self.records, self.blobs, aws, clock)
        self.tokens = config.registry_tokens

    def ensure_swept(self, tx: Transaction) -> None:
        """From the first repository on there is one run, for good, that removes what nobody needs."""
        if not self.runs.of_kind(SWEEP, is_open=True):
            self.runs.insert(tx, SWEEP, DEFAULT_REGION, "sweep", {}, [StepSpec("Sweep", 0)])

    def of(self, call: Call) -> Repository:
        """The repository that a call is about. Raises RepositoryNotFoundException."""
        return self.records.get(call.region, call["repositoryName"], call.get("registryId", ACCOUNT))
