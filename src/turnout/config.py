"""Settings of one engine, and where things lie in its home."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from turnout.errors import SetupError
from turnout.names import DEFAULT_REGION
from turnout.registry import Registry, Tokens

DEFAULT_PORT = 4566
"""LocalStack's port, so that awslocal and tflocal find us as they are."""


def make_home(home: Path) -> None:
    """Make the folder if it is not there. Raises SetupError unless files can be made in it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "lock").touch()
    except OSError as error:
        raise SetupError(f"{home} cannot be turnout's home: {error.strerror}. Choose another with --home.") from error


@dataclass(frozen=True)
class Config:
    """`home` holds everything that outlives the engine; nothing is written outside of it."""

    home: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    speed: float = 1.0
    region: str = DEFAULT_REGION
    allowed_hosts: tuple[str, ...] = ()
    """Host headers allowed beyond loopback's, *.localhost and AWS's own."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Access key id → secret. When there are any, signatures are verified."""
    free_listener_ports: bool = False
    """Bind every listener of a load balancer to any free port, so that two engines share a machine."""

    ssh_port: int | None = None
    """Where git over SSH is answered. None: nowhere; `turnout up` then takes one near the endpoint's."""

    runtime: str = "auto"
    """auto, process or docker: `turnout.runtimes.choosing`."""

    @property
    def endpoint(self) -> str:
        """Where AWS clients on this machine reach the gateway. The port is the real one: it is bound first."""
        return f"http://{self._here}:{self.port}"

    @property
    def ssh_endpoint(self) -> str:
        """Where git clients on this machine reach CodeCommit over SSH."""
        return f"ssh://{self._here}:{self.ssh_port}"

    @property
    def _here(self) -> str:
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host

    @property
    def ssh(self) -> Path:
        """The host key of the SSH endpoint, and a known_hosts that pins it."""
        return self.home / "ssh"

    @property
    def database(self) -> Path:
        return self.home / "turnout.sqlite"

    @property
    def clock(self) -> Path:
        """The engine's time, as long as the machine is not started again."""
        return self.home / "clock.json"

    @property
    def repositories(self) -> Path:
        """Bare git repositories: <region>/<name>.git"""
        return self.home / "codecommit"

    @property
    def builds(self) -> Path:
        return self.home / "codebuild"

    @property
    def build_caches(self) -> Path:
        """Local caches of build projects: <region>/<project>/<hash of the key>.tar.gz"""
        return self.home / "codebuild-caches"

    @property
    def functions(self) -> Path:
        """The code of Lambda functions by hash, and a folder per invocation."""
        return self.home / "lambda"

    @property
    def hooks(self) -> Path:
        """Files of hooks by hash, and a folder per script."""
        return self.home / "codedeploy"

    @property
    def tasks(self) -> Path:
        """One folder per container of a process task."""
        return self.home / "tasks"

    @property
    def containers(self) -> Path:
        """Which engine's socket runs containers of this home, once one does."""
        return self.home / "containers"

    @property
    def images(self) -> Path:
        """An OCI image layout: blobs by digest, ECR's and those of `turnout pack`, and what has been unpacked."""
        return self.home / "images"

    @property
    def registry(self) -> Registry:
        """Where docker finds ECR's repositories."""
        return Registry(self.endpoint.removeprefix("http://"), self.region)

    @property
    def registry_tokens(self) -> Tokens:
        return Tokens(self.home / "ecr" / "secret")

    @property
    def authority(self) -> Path:
        """The certificate and the key of the local certificate authority."""
        return self.home / "ca"

    @property
    def certificate_keys(self) -> Path:
        """The private keys of ACM's certificates."""
        return self.home / "acm"

    @property
    def envoy(self) -> Path:
        return self.home / "envoy"

    @property
    def moto(self) -> Path:
        """Snapshot, journal and bodies of what moto keeps."""
        return self.home / "moto"


def home_from(environment: Mapping[str, str] = os.environ) -> Path:
    """TURNOUT_HOME, or the user's data folder."""
    if given := environment.get("TURNOUT_HOME"):
        return Path(given).expanduser().absolute()
    data = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "turnout"
