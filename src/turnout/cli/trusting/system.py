"""The store of the system: a folder of certificates, and the program of the distribution that bundles them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from turnout.cli.trusting import Anchor
from turnout.errors import SetupError


@dataclass(frozen=True)
class Family:
    """How one family of distributions does it. `bundle` is what the program makes, and OpenSSL's programs read."""

    anchors: Path
    program: tuple[str, ...]
    bundle: Path


FAMILIES = (
    # Fedora, RHEL, Amazon Linux
    Family(
        Path("/etc/pki/ca-trust/source/anchors"),
        ("update-ca-trust", "extract"),
        Path("/etc/pki/tls/certs/ca-bundle.crt"),
    ),
    # Debian, Ubuntu, Alpine
    Family(
        Path("/usr/local/share/ca-certificates"),
        ("update-ca-certificates",),
        Path("/etc/ssl/certs/ca-certificates.crt"),
    ),
    # Arch
    Family(
        Path("/etc/ca-certificates/trust-source/anchors"),
        ("update-ca-trust", "extract"),
        Path("/etc/ssl/certs/ca-certificates.crt"),
    ),
    # SUSE
    Family(Path("/etc/pki/trust/anchors"), ("update-ca-certificates",), Path("/etc/ssl/ca-bundle.pem")),
)
WITH_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class System:
    """The store that curl, git, OpenSSL's programs and most others read. Only root can change it."""

    def __init__(self, family: Family, home: Path) -> None:
        """`home`: what a message tells root to name."""
        self._family = family
        self._home = home
        self.words = f"the system ({family.bundle})"

    def trusts(self, anchor: Anchor) -> bool:
        """Whether it is in the bundle, and not only beside it."""
        try:
            return anchor.pem.strip() in self._family.bundle.read_text()
        except FileNotFoundError:
            return False

    def add(self, anchor: Anchor) -> None:
        if self.trusts(anchor):
            return
        self._need_root("install")
        kept = self._family.anchors / anchor.file_name
        kept.write_text(anchor.pem)
        kept.chmod(0o644)
        self._update()
        if not self.trusts(anchor):
            raise SetupError(
                f"{kept} is there, and {self._family.program[0]} has run, but {self._family.bundle} is without it."
            )

    def remove(self, anchor: Anchor) -> None:
        if (self._family.anchors / anchor.file_name).exists() or self.trusts(anchor):
            self.remove_stray(anchor.file_name)

    def strays(self, anchor: Anchor | None) -> list[str]:
        known = anchor.file_name if anchor else None
        return [path.name for path in sorted(self._family.anchors.glob("turnout-*.crt")) if path.name != known]

    def remove_stray(self, name: str) -> None:
        self._need_root("remove")
        (self._family.anchors / name).unlink(missing_ok=True)
        self._update()

    def _update(self) -> None:
        done = subprocess.run(
            self._family.program,
            env={**os.environ, "PATH": WITH_SBIN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            last = done.stdout.strip().rpartition("\n")[2]
            raise SetupError(f"{self._family.program[0]} ended with status {done.returncode}: {last}")

    def _need_root(self, action: str) -> None:
        if os.access(self._family.anchors, os.W_OK):
            return
        command = shlex.join([sys.executable, "-m", "turnout", "trust", action, "--home", str(self._home)])
        raise SetupError(f"only root can change whom the system trusts: sudo {command}")


def find_system(home: Path) -> System | None:
    """The store of this system; None if it has none that we know."""
    for family in FAMILIES:
        if family.anchors.is_dir() and shutil.which(family.program[0], path=WITH_SBIN):
            return System(family, home)
    return None
