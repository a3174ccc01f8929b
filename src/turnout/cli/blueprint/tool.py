"""Terraform itself: run in a folder, led to an engine or to AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.cli.blueprint.files import declares
from turnout.cli.clients import Clients
from turnout.cli.running import credentials
from turnout.cli.terraform import CURRENT, FILE, locked_version, override
from turnout.errors import SetupError

PLAN = "turnout.plan"
REHEARSAL = '\nvariable "is_rehearsal" {\n  default = true\n}\n'


class Tool:
    """Terraform in a folder. `variables` are said to every plan, if the folder declares them."""

    def __init__(self, folder: Path, clients: Clients, profile: str | None, **variables: str) -> None:
        binary = shutil.which("terraform")
        if binary is None:
            raise SetupError(
                "terraform is not installed, or not on PATH. https://developer.hashicorp.com/terraform/install has it;"
                " version 1.10 or newer."
            )
        self._binary = binary
        self.folder = folder
        self._clients = clients
        self._variables = {name: value for name, value in variables.items() if declares(folder, name)}
        self._place = "engine" if clients.is_engine else f"{profile}-{clients.region}"
        self._environment = environment(os.environ, clients, profile) | {
            "TF_DATA_DIR": str(folder / ".terraform" / self._place),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    @property
    def plan_file(self) -> Path:
        return self.folder / ".terraform" / self._place / PLAN

    def init(self, backend: Mapping[str, str]) -> None:
        """Safe to repeat. The file that leads to an engine is written, or removed for AWS."""
        led = self.folder / FILE
        led.unlink(missing_ok=True)
        words = [f"-backend-config={name}={value}" for name, value in backend.items()]
        self._run("init", "-input=false", "-reconfigure", *words, is_quiet=True)
        if self._clients.is_engine:
            endpoint = self._clients.running.endpoint
            version = locked_version(self.folder) or CURRENT
            text = override(endpoint, credentials(endpoint), version)
            led.write_text(text + (REHEARSAL if declares(self.folder, "is_rehearsal") else ""))

    def plan(self, *words: str, **variables: str) -> dict[str, Any]:
        """Make a plan, and give it as Terraform's JSON (https://developer.hashicorp.com/terraform/internals/json-format)."""
        said = [f"-var={name}={value}" for name, value in (self._variables | variables).items()]
        self._run("plan", "-input=false", f"-out={self.plan_file}", *said, *words)
        shown: dict[str, Any] = json.loads(self._run("show", "-json", str(self.plan_file), is_quiet=True))
        return shown

    def apply(self) -> None:
        """What was planned last, and nothing else."""
        self._run("apply", "-input=false", "-parallelism=20", str(self.plan_file))
        self.plan_file.unlink()

    def outputs(self) -> dict[str, Any]:
        said = json.loads(self._run("output", "-json", is_quiet=True))
        return {name: output["value"] for name, output in said.items()}

    def _run(self, *words: str, is_quiet: bool = False) -> str:
        done = subprocess.run(
            [self._binary, words[0], *([] if words[0] in ("show", "output") else ["-no-color"]), *words[1:]],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE if is_quiet else None,
            stderr=subprocess.PIPE if is_quiet else None,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.returncode:
            said = f":\n{(done.stderr or done.stdout).strip()}" if is_quiet else "; what it said is above."
            raise SetupError(f"`terraform {words[0]}` in {self.folder} failed{said}")
        return done.stdout or ""


def environment(outside: Mapping[str, str], clients: Clients, profile: str | None) -> dict[str, str]:
    """Only what was said counts: neither keys nor endpoints of the shell lead a profile elsewhere."""
    kept = {name: value for name, value in outside.items() if not name.startswith("AWS_") or name == "AWS_CONFIG_FILE"}
    if "AWS_SHARED_CREDENTIALS_FILE" in outside:
        kept["AWS_SHARED_CREDENTIALS_FILE"] = outside["AWS_SHARED_CREDENTIALS_FILE"]
    kept["AWS_REGION"] = clients.region
    if not clients.is_engine:
        return kept | ({"AWS_PROFILE": profile} if profile else {})
    key_id, secret = credentials(clients.running.endpoint, outside)
    kept |= {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true"}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
