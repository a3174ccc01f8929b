"""The errors of the house: two kinds, and bugs.

    TurnoutError
    ├── AwsError(code, message, status=400)   the caller's fault: serialised in the service's own protocol
    │   └── NotOwned                          501: "codebuild.StartSandbox is not implemented by turnout"
    ├── StepFailed(code, message)             the world's fault: ends the step, becomes errorInformation
    │   └── StepStopped                       somebody asked for it: the step ends Stopped instead of Failed
    ├── Hindered                              the machine lacks something (room on the disk): what was under way waits
    └── SetupError                            a human must act: no git, port taken, two engines

Anything else is a bug: 500 InternalFailure with the request id; the traceback goes to the log.
"""

from __future__ import annotations


class TurnoutError(Exception):
    """Root of everything that turnout raises on purpose."""


class AwsError(TurnoutError):
    """The caller's fault. `code` is an AWS error code as the SDK names it, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the modelled error shape, by their wire names."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotOwned(AwsError):
    """An operation that turnout does not implement. It says so instead of pretending."""

    def __init__(self, service: str, operation: str) -> None:
        super().__init__(
            "NotImplementedException",
            f"{service}.{operation} is not implemented by turnout. See docs/operations.md for what is.",
            501,
        )


class StepFailed(TurnoutError):
    """The world's fault: the step cannot become true. `code` is an AWS code of the service that owns the run."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StepStopped(StepFailed):
    """The step ends because somebody asked for it."""


class Hindered(TurnoutError):
    """The machine lacks something for the moment. The message says what, where and what to do; nothing is lost."""


class SetupError(TurnoutError):
    """A human must act before turnout can go on. The message says what, where and what to try."""
