"""`turnout trust` with the system's own program and a browser's: in a namespace in which their stores are copies."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts import found, lacking, part
from turnout.cli.trusting import read_anchor

pytestmark = pytest.mark.real

ANCHORS, MADE = Path("/usr/local/share/ca-certificates"), Path("/etc/ssl/certs")
Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs lines of a shell in which `turnout` is ours, with copies of the stores and a user of its own."""
    part("update-ca-certificates", found("update-ca-certificates"))
    part("certutil", found("certutil"))
    (tmp_path / "anchors").mkdir()
    shutil.copytree(MADE, tmp_path / "made", symlinks=True)
    nss = tmp_path / "user" / ".pki" / "nssdb"
    nss.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{nss}"], check=True)
    mounts = f"mount --bind {tmp_path}/anchors {ANCHORS} && mount --bind {tmp_path}/made {MADE}"
    unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    if subprocess.run([*unshared, mounts], capture_output=True, check=False).returncode:
        lacking("only root may have a namespace of mounts, in which the stores are copies")
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "user"),
        "TURNOUT_HOME": str(tmp_path / "home"),
        "NSS": f"sql:{nss}",
        "CA": str(tmp_path / "home" / "ca" / "ca.pem"),
    }
    ours = f'turnout() {{ {shlex.quote(sys.executable)} -m turnout "$@"; }}'

    def run(lines: str) -> subprocess.CompletedProcess[str]:
        script = f"{mounts} || exit 99\n{ours}\n{lines}"
        return subprocess.run([*unshared, script], env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_system_and_browsers_trust_the_authority_until_it_is_removed(tmp_path: Path, shell: Shell) -> None:
    done = shell(
        'turnout trust; echo "= $?"; openssl verify "$CA" >/dev/null 2>&1; echo "= $?"\n'
        'turnout trust install >/dev/null; echo "= $?"; turnout trust >/dev/null; echo "= $?"\n'
        'openssl verify "$CA" >/dev/null; echo "= $?"\n'
        'certutil -L -d "$NSS" | grep "turnout local CA .* C,,"; echo "= $?"\n'
        'turnout trust install >/dev/null; echo "= $?"\n'
        'turnout trust remove; echo "= $?"; turnout trust >/dev/null; echo "= $?"\n'
        'openssl verify "$CA" >/dev/null 2>&1; echo "= $?"; certutil -L -d "$NSS" | grep turnout; echo "= $?"'
    )
    ends = [line.removeprefix("= ") for line in done.stdout.splitlines() if line.startswith("= ")]
    assert ends == ["1", "2", "0", "0", "0", "0", "0", "0", "1", "2", "1"], done.stdout + done.stderr
    anchor = read_anchor(tmp_path / "home" / "ca" / "ca.pem")
    assert f"Nobody here trusts {anchor.nickname} any longer." in done.stdout
    assert list((tmp_path / "anchors").iterdir()) == []


def test_what_a_former_home_left_behind_goes_with_all(tmp_path: Path, shell: Shell) -> None:
    done = shell(
        'turnout trust install >/dev/null && rm -r "$TURNOUT_HOME"\n'
        'turnout trust remove; echo "= $?"; turnout trust remove --all; echo "= $?"; certutil -L -d "$NSS"'
    )
    assert "= 2\nNobody here trusts an authority of turnout any longer.\n= 0" in done.stdout, done.stderr
    assert "Those of former homes go with --all" in done.stderr
    assert "turnout" not in done.stdout.partition("= 0")[2]
    assert list((tmp_path / "anchors").iterdir()) == []
