"""The stores of browsers: databases of NSS, which certutil changes. Chromium has one, Firefox one a profile."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from turnout.cli.trusting import LABEL, Anchor
from turnout.errors import SetupError

PLACES = (
    ".pki/nssdb",
    "snap/chromium/current/.pki/nssdb",
    ".mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
)
"""In a user's folder. Chromium makes its own at its first start."""


class Browser:
    """A database that belongs to the user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.words = f"a browser ({folder})"

    def trusts(self, anchor: Anchor) -> bool:
        done = self._certutil("-L", "-n", anchor.nickname, "-a")
        return done.returncode == 0 and "".join(anchor.pem.split()) in "".join(done.stdout.split())

    def add(self, anchor: Anchor) -> None:
        if not self.trusts(anchor):
            # C: for servers, and for nothing else.
            self._must("-A", "-t", "C,,", "-n", anchor.nickname, "-i", str(anchor.path))

    def remove(self, anchor: Anchor) -> None:
        if self.trusts(anchor):
            self.remove_stray(anchor.nickname)

    def strays(self, anchor: Anchor | None) -> list[str]:
        known = anchor.nickname if anchor else None
        names = [line.strip().rpartition(" ")[0].strip() for line in self._certutil("-L").stdout.splitlines()]
        return [name for name in names if name.startswith(f"{LABEL} ") and name != known]

    def remove_stray(self, name: str) -> None:
        self._must("-D", "-n", name)

    def _must(self, *words: str) -> None:
        done = self._certutil(*words)
        if done.returncode:
            raise SetupError(f"certutil on {self._folder}: {done.stderr.strip() or f'status {done.returncode}'}")

    def _certutil(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["certutil", *words, "-d", f"sql:{self._folder}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def find_browsers(user: Path) -> list[Browser]:
    """Those of a user's folder. Without certutil there are none that we could change: `lacks_certutil`."""
    return [Browser(folder) for folder in _folders(user)] if shutil.which("certutil") else []


def lacks_certutil(user: Path) -> bool:
    """Whether there are browsers whose stores cannot be reached."""
    return shutil.which("certutil") is None and any(_folders(user))


def _folders(user: Path) -> Iterator[Path]:
    for place in PLACES:
        for folder in sorted(user.glob(place)):
            if (folder / "cert9.db").is_file():
                yield folder
