"""Where the demo plays: an engine in a temporary home, the example as a git repository, and its stack."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from turnout.cli.bootstrap import Made, build
from turnout.cli.clients import Clients
from turnout.cli.demo.versions import BEFORE, Version
from turnout.cli.files import read_application
from turnout.cli.git import ANYBODY, ensure_remote, git
from turnout.cli.load import Load
from turnout.cli.names import names_for
from turnout.cli.running import Running, find_running
from turnout.cli.stack.parts import Report, Wishes
from turnout.cli.up import start_detached, stop
from turnout.config import Config
from turnout.errors import SetupError
from turnout.runtimes.trees import remove_tree

NAME = "hello"
DRAIN_S = 2
"""Deregistration delay of the target groups. No request of the demo takes longer; on AWS the default is 300."""


@dataclass(frozen=True)
class Scene:
    folder: Path
    """Temporary; holds `home`, and the example's work tree in `hello`."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work_tree(self) -> Path:
        return self.folder / NAME

    def start_engine(self) -> Running:
        return start_detached(Config(home=self.home, port=0, free_listener_ports=True))

    def build_stack(self, clients: Clients, report: Report) -> Made:
        """The example's stack, serving what was there before the first release."""
        shutil.copytree(example(), self.work_tree, ignore=shutil.ignore_patterns("__pycache__"))
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit(BEFORE)
        wishes = Wishes(health_path="/health", drain_s=DRAIN_S)
        made = build(clients, read_application(self.work_tree), names_for(NAME), wishes, report)
        ensure_remote(self.work_tree, "turnout", made.push_url)
        return made

    def commit(self, version: Version) -> str:
        """Make the work tree that version, and commit it: the commit's id."""
        (self.work_tree / "release.json").write_text(json.dumps(version.document) + "\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", f"{version.name}: {version.subject}")
        return self._git("rev-parse", "HEAD")

    def push(self) -> None:
        self._git("push", "--quiet", "turnout", "main")

    def _git(self, *words: str) -> str:
        return git(self.work_tree, *words, environment=ANYBODY)

    def end(self) -> None:
        """Leave nothing behind, neither a process nor a file. A second Ctrl-C does not cut it short."""
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if (self.home / "engine.json").exists():
                # A killed engine has left Envoy and tasks behind: a new one takes them over, and ends them.
                stop(find_running(self.home) or self.start_engine())
            remove_tree(self.folder)
        finally:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def scene(*, keep: bool) -> Iterator[Scene]:
    """A scene that ends when the block does, Ctrl-C included; with `keep` only if the block fails."""
    made = Scene(Path(tempfile.mkdtemp(prefix="turnout-demo-")))
    try:
        yield made
    except BaseException:
        made.end()
        raise
    if not keep:
        made.end()


def load_on(made: Made, *, kept: int, fresh: int) -> Load:
    """Clients of the production listener, by the balancer's own name."""
    url = urlsplit(made.address)
    return Load("127.0.0.1", url.port or 80, name=url.netloc, kept=kept, fresh=fresh)


def example() -> Path:
    """The example application: in an installed package, or in a checkout."""
    package = Path(__file__).parents[2]
    for candidate in (package / "examples" / NAME, package.parents[1] / "examples" / NAME):
        if (candidate / "taskdef.json").is_file():
            return candidate
    raise SetupError("the example application is not installed with turnout: reinstall it, or run from a checkout.")
