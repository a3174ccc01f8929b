"""From a workload and its image to the command line and environment of a process. Reads no more than modes of files."""

from __future__ import annotations

import grp
import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.runtimes import Port, Workload
from turnout.runtimes.images import Image
from turnout.runtimes.sandbox import Userland

APPLICATION = "/app"


class CannotStart(Exception):
    """The command of a workload cannot be started. `exit_code` is what a shell would have ended with."""

    def __init__(self, reason: str, exit_code: int | None = None) -> None:
        super().__init__(f"CannotStartContainerError: {reason}")
        self.exit_code = exit_code


@dataclass(frozen=True)
class View:
    """Where a path of the container lies on the host."""

    root: Path
    """The unpacked image."""
    userland: Userland | None
    """None: no sandbox, so every file of the host is in view."""

    def on_host(self, path: str) -> Path | None:
        """None: the container has no such path."""
        if _is_in_application(path):
            return self.root / path.lstrip("/")
        if self.userland is None or self.userland.shows(Path(path)):
            return Path(path)
        return None


def argv_of(workload: Workload, image: Image) -> tuple[str, ...]:
    """As Docker: an entry point given takes away the image's command as well."""
    if workload.entry_point:
        return workload.entry_point + workload.command
    return image.entry_point + (workload.command or image.command)


def environment_of(workload: Workload, image: Image, ports: Sequence[Port], base: Mapping[str, str]) -> dict[str, str]:
    """The whole environment. PORT is the host port of the first mapping whatever else was said: nothing is forwarded to
    the container's own port. With several mappings there is PORT_<container port> for each.
    """
    made = {**base, **image.environment, **workload.environment}
    if ports:
        made["PORT"] = str(ports[0].host_port)
    if len(ports) > 1:
        made |= {f"PORT_{port.container_port}": str(port.host_port) for port in ports}
    return made


def check_directory(directory: str, view: View) -> Path:
    """Where the working directory lies on the host. Raises CannotStart."""
    place = view.on_host(directory)
    if place is None or not place.is_dir():
        raise CannotStart(f'chdir to cwd ("{directory}") set in config.json failed: no such file or directory', 127)
    return place


def check_command(argv: Sequence[str], path: str, directory: str, view: View) -> None:
    """Raises CannotStart, in the words of runc, when the first word is no program."""
    if not argv:
        raise CannotStart("No command specified: neither the image nor the container definition has one")
    program = argv[0]
    places = [os.path.join(directory, program)] if "/" in program else [f"{p}/{program}" for p in path.split(":") if p]  # noqa: PTH118 a path in the container
    found = [place for place in map(view.on_host, places) if place is not None and place.is_file()]
    if not found and "/" in program:
        raise CannotStart(f'exec: "{program}": stat {program}: no such file or directory', 127)
    if not found:
        raise CannotStart(f'exec: "{program}": executable file not found in $PATH ({path})', 127)
    if not any(os.access(place, os.X_OK) for place in found):
        raise CannotStart(f'exec: "{program}": permission denied (was it executable when it was packed?)', 126)


def user_of(text: str | None) -> tuple[int, int] | None:
    """The numbers of a user[:group], by number or name; None means the engine's own. Raises CannotStart."""
    if not text:
        return None
    user, _, group = text.partition(":")
    try:
        known = None if user.isdigit() else pwd.getpwnam(user)
        uid = int(user) if known is None else known.pw_uid
    except KeyError:
        raise CannotStart(f"unable to find user {user}: no matching entries in passwd file") from None
    try:
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid if group else known.pw_gid if known else uid
    except KeyError:
        raise CannotStart(f"unable to find group {group}: no matching entries in group file") from None
    return uid, gid


def with_host_paths(argv: Sequence[str], view: View) -> list[str]:
    """Without a sandbox there is no /app: words that are a path in it become the image's place on the host."""
    return [str(view.on_host(word)) if _is_in_application(word) else word for word in argv]


def path_with_turnout(path: str) -> str:
    """The PATH of commands that are no task (builds, hooks): behind `path` the folder where `turnout` itself lies."""
    scripts = str(Path(sys.executable).parent)
    return path if scripts in path.split(os.pathsep) else f"{path}{os.pathsep}{scripts}"


def _is_in_application(path: str) -> bool:
    return path == APPLICATION or path.startswith(f"{APPLICATION}/")
