"""A container engine for tests: a dockerd of their own in a temporary folder, with images made from nothing.

No registry is needed: an image is busybox alone. Where we are not root, the engine that is there is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts import found, lacking, part

READY_WITHIN_S = 60.0

PROGRAM = """\
#!/bin/sh
# Listens on $PORTS, tells the rig that it is up, and does what it is told: both through named pipes at /rig.
[ "$STUBBORN" ] && trap '' TERM
for port in $PORTS; do httpd -p "$port" -h /rig; done
exec 3<>"/rig/$NAME.told"
echo up >"/rig/$NAME.said"
while read -r verb rest <&3; do
  case $verb in
    say) printf "$rest" ;;
    end) exit "$rest" ;;
  esac
  echo done >"/rig/$NAME.said"
done
"""


@dataclass(frozen=True)
class ContainerEngine:
    socket: Path
    client: Any
    """docker.APIClient"""

    @property
    def environment(self) -> dict[str, str]:
        """Leads docker, and `turnout up`, to it."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def build(self, tag: str, files: Mapping[str, str], *, dockerfile: str = "", platform: str = "") -> str:
        """An image of busybox and these files (path → text). Its id."""
        busybox = Path(part("busybox-static", found("busybox")))
        text = f'FROM scratch\nENV PATH=/bin\nCOPY . /\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n{dockerfile}'
        contents = {"Dockerfile": text.encode(), "bin/busybox": busybox.read_bytes(), "tmp/.keep": b""}
        contents |= {path.lstrip("/"): body.encode() for path, body in files.items()}
        for line in self.client.build(
            fileobj=io.BytesIO(_tar(contents)), custom_context=True, tag=tag, rm=True, decode=True
        ):
            assert "error" not in line, line["error"]
        return str(self.client.inspect_image(tag)["Id"])

    def load(self, tag: str, *, architecture: str) -> None:
        """An image that says it is for another machine."""
        layer, config = _tar({"file": b""}), {"architecture": architecture, "os": "linux", "config": {}}
        config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
        manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
        parts = {"config.json": config, "manifest.json": manifest}
        files = {name: json.dumps(part).encode() for name, part in parts.items()}
        list(self.client.load_image(_tar({**files, "layer.tar": layer})))


def _tar(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, body in contents.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


@contextmanager
def running_engine() -> Iterator[ContainerEngine]:
    from docker import APIClient

    folder = Path(tempfile.mkdtemp(prefix="turnout-engine-"))
    process = None
    try:
        if os.geteuid() == 0:
            dockerd = part("dockerd", found("dockerd"))
            socket = folder / "docker.sock"
            process = _start(dockerd, folder, socket)
        else:
            from turnout.runtimes.sockets import sockets

            places = [place for place in sockets() if os.access(place, os.W_OK)]
            if not places:
                lacking("no container engine that this user may use, and only root can start one")
            socket = places[0]
        with_client = APIClient(base_url=f"unix://{socket}", version="auto", timeout=60)
        engine = ContainerEngine(socket, with_client)
        engine.build("program:1", {"/program": PROGRAM}, dockerfile='CMD ["/program"]\n')
        yield engine
        with_client.close()
    finally:
        if process is not None:
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _start(dockerd: str, folder: Path, socket: Path) -> subprocess.Popen[bytes]:
    """Its bridge is its own, so that it does not meet an engine that runs on this machine."""
    log = folder / "dockerd.log"
    command = [dockerd, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid"), "--host", f"unix://{socket}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + READY_WITHIN_S
    while b"API listen on" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            lacking(f"dockerd does not start here: {log.read_text()[-2000:]}")
        time.sleep(0.05)
    return process
