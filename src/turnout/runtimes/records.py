"""What the process runtime writes down of a workload before it starts it: workload.json in its folder."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from turnout.runtimes import Port


@dataclass(frozen=True)
class Record:
    """Written whole, before the process exists: an engine that dies in between starts it on the same ports."""

    name: str
    ports: tuple[Port, ...]
    created_at: float
    failure: str | None = None
    """Why it could not be started; nothing was, then."""
    exit_code: int | None = None
    """Of a start that failed: 126 or 127 where a shell would say so."""

    FILE: ClassVar[str] = "workload.json"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{self.FILE}"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(folder / self.FILE)

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """None when there is none, or only what a power failure has left of one."""
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            document = json.loads((folder / cls.FILE).read_text())
            return cls(**{**document, "ports": tuple(Port(**port) for port in document["ports"])})
        return None
