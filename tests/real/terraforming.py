"""Terraform with the real AWS provider, in a folder of its own, from a mirror on this disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.parts import found, part

MIRROR = Path(__file__).parents[2] / ".cache" / "terraform" / "mirror"


class Terraform:
    """A working directory. `environ` are variables beside this process's own (TF_VAR_…, AWS_…)."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.binary = part("terraform", found("terraform"))
        rc = folder / ".terraform-cli.tfrc"
        mirror = part("the mirror of Terraform's providers", MIRROR)
        rc.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        self.environ = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(rc),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        } | environ

    def __call__(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """What the command printed. An exit status that is not among `codes` fails the test with all that it said."""
        said = subprocess.run([self.binary, *words], cwd=self.folder, env=self.environ, capture_output=True, text=True)
        assert said.returncode in codes, (
            f"terraform {' '.join(words)}: {said.returncode}\n{said.stdout[-6000:]}\n{said.stderr[-6000:]}"
        )
        return said.stdout

    def init(self) -> None:
        self("init", "-input=false", "-no-color")

    def apply(self) -> str:
        return self("apply", "-auto-approve", "-input=false", "-no-color", "-parallelism=20")

    def destroy(self) -> str:
        return self("destroy", "-auto-approve", "-input=false", "-no-color", "-parallelism=20")

    def changes(self) -> dict[str, list[str]]:
        """What a plan made now would do: actions by the address of what would change. Empty is no drift."""
        self("plan", "-input=false", "-no-color", "-out=the.plan", "-parallelism=20")
        plan: dict[str, Any] = json.loads(self("show", "-json", "the.plan"))
        changes = {each["address"]: each["change"]["actions"] for each in plan.get("resource_changes", ())}
        return {address: actions for address, actions in changes.items() if actions not in (["no-op"], ["read"])}
