"""Stands before docker (and podman) on the PATH of a build, so that AWS's name of a repository leads to the one here.

What a buildspec composes, <account>.dkr.ecr.<region>.amazonaws.com/<repository>, stays the name of the image on the
engine. Where the registry itself is spoken to (login, push, pull, and what pulls by the way), the address of the
registry here is put in its place. Everything else goes to the real program as it is.

This file stands alone, with Python's library: a build may outlive its engine.
    python -I dockerfront.py PROGRAM FOLDER ADDRESS REGION ARGUMENT…
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT = "000000000000"
_ECR = re.compile(
    rf"(?:https?://)?{ACCOUNT}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?P<rest>/[^\s]+)?/?"
)
_TAKES_VALUE = {"--config", "-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert"}
_TAKES_VALUE |= {"--tlskey", "--connection", "--url", "--identity", "--root", "--runroot", "--storage-driver"}
_GROUPS = {"image", "container", "buildx", "builder", "manifest"}
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)|^\s*COPY\s+(?:--\S+\s+)*?--from=(\S+)", re.IGNORECASE | re.MULTILINE)
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")

Command = list[str]


@dataclass(frozen=True)
class Place:
    """Where the registry is."""

    address: str
    region: str

    def local(self, text: str) -> str | None:
        """An ECR name, or host, as it is here; None for anything else."""
        found = _ECR.fullmatch(text)
        if found is None:
            return None
        region = "" if found["region"] == self.region or not found["rest"] else f"/{found['region']}"
        return f"{self.address}{region}{found['rest'] or ''}"

    def is_image(self, text: str) -> bool:
        found = _ECR.fullmatch(text)
        return found is not None and bool(found["rest"])


@dataclass
class Plan:
    """Arguments of the program: first `before`, each of which must succeed, then `command`, then `after`."""

    command: Command
    before: list[Command] = field(default_factory=list)
    after: list[Command] = field(default_factory=list)


@dataclass(frozen=True)
class Front:
    """`has`: whether the engine has an image of that name. `tags`: those of a repository's images on the engine."""

    program: str
    place: Place
    has: Callable[[str], bool]
    tags: Callable[[str], Sequence[str]]

    def plan(self, arguments: Sequence[str]) -> Plan:
        head, verb, rest = split(arguments)
        plan = Plan([*head, *rest])
        if verb in ("login", "logout"):
            plan.command = [*head, rest[0], *self._insecure(verb), *(self.place.local(a) or a for a in rest[1:])]
        elif verb in ("push", "image push"):
            self._push(plan, head, verb, rest)
        elif verb in ("pull", "image pull"):
            self._pull(plan, head, verb, rest)
        elif verb.split(" ")[0] == "manifest":
            at = len(verb.split(" "))
            insecure = ["--insecure"] if verb.split(" ")[-1] in ("create", "inspect", "push") else []
            changed = [self.place.local(argument) or argument for argument in rest[at:]]
            plan.command = [*head, *rest[:at], *(insecure if changed != rest[at:] else []), *changed]
        elif verb in ("run", "create", "container run", "container create"):
            self._run(plan, head, rest)
        elif verb in ("build", "image build", "buildx build", "builder build"):
            self._build(plan, head, rest)
        return plan

    def _push(self, plan: Plan, head: Command, verb: str, rest: Command) -> None:
        image = next(filter(self.place.is_image, rest), None)
        if image is None:
            return
        local = self.place.local(image) or image
        if "-a" in rest or "--all-tags" in rest:
            for tag in self.tags(image):
                plan.before.append([*head, "tag", f"{image}:{tag}", f"{local}:{tag}"])
        else:
            plan.before.append([*head, "tag", image, local])
        plan.command = self._at_registry(head, verb, rest, image, local)

    def _pull(self, plan: Plan, head: Command, verb: str, rest: Command) -> None:
        image = next(filter(self.place.is_image, rest), None)
        if image is None:
            return
        local = self.place.local(image) or image
        plan.command = self._at_registry(head, verb, rest, image, local)
        if "@" not in image and "-a" not in rest and "--all-tags" not in rest:
            plan.after.append([*head, "tag", local, image])

    def _run(self, plan: Plan, head: Command, rest: Command) -> None:
        """What is not on the engine is fetched before."""
        image = next(filter(self.place.is_image, rest), None)
        if image is None:
            return
        is_anew = "--pull=always" in rest or ("--pull", "always") in itertools.pairwise(rest)
        if not is_anew and self.has(image):
            return
        plan.before += self._fetched(head, image)
        name = self.place.local(image) if "@" in image else image
        plan.command = [*head, *(_never_pulled(rest, image, name or image))]

    def _build(self, plan: Plan, head: Command, rest: Command) -> None:
        if "--push" in rest:
            plan.command = [*head, *(self._tagged_local(argument) for argument in rest)]
        for image in bases(rest):
            if self.place.is_image(image) and "@" not in image and not self.has(image):
                plan.before += self._fetched(head, image)

    def _tagged_local(self, argument: str) -> str:
        option, equals, value = argument.partition("=")
        if equals and option == "--tag":
            return f"--tag={self.place.local(value) or value}"
        return self.place.local(argument) or argument

    def _fetched(self, head: Command, image: str) -> Iterator[Command]:
        local = self.place.local(image) or image
        yield [*head, "pull", *self._insecure("pull"), local]
        if "@" not in image:
            yield [*head, "tag", local, image]

    def _at_registry(self, head: Command, verb: str, rest: Command, image: str, local: str) -> Command:
        at = len(verb.split(" "))
        changed = [local if argument == image else argument for argument in rest[at:]]
        return [*head, *rest[:at], *self._insecure(verb), *changed]

    def _insecure(self, verb: str) -> Command:
        """podman takes no registry without TLS for granted."""
        return ["--tls-verify=false"] if self.program == "podman" and verb != "logout" else []


def split(arguments: Sequence[str]) -> tuple[Command, str, Command]:
    """(options of the program, "image push", the verb's words and all behind them)"""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in _TAKES_VALUE else 1
    rest = list(arguments[at:])
    words = 2 if rest[:1] and rest[0] in _GROUPS and len(rest) > 1 else 1
    return list(arguments[:at]), " ".join(rest[:words]), rest


def bases(rest: Sequence[str]) -> list[str]:
    """The images that the Dockerfile of a build is based on, as far as it names them."""
    file, values = None, {}
    following = [*rest[1:], ""]
    for argument, value in zip(rest, following, strict=True):
        option, equals, given = argument.partition("=")
        if option in ("-f", "--file"):
            file = given if equals else value
        elif option == "--build-arg":
            name, _, text = (given if equals else value).partition("=")
            values[name] = text or os.environ.get(name, "")
    try:
        text = Path(file or Path(rest[-1]) / "Dockerfile").read_text()
    except (OSError, UnicodeDecodeError):
        return []
    values = {**dict(_ARG.findall(text)), **values}

    def value_of(found: re.Match[str]) -> str:
        return values.get(found[1] or found[3], found[2] or "")

    named = (found[0] or found[1] for found in _FROM.findall(text))
    return list(dict.fromkeys(_VARIABLE.sub(value_of, name) for name in named))


def _never_pulled(rest: Sequence[str], image: str, name: str) -> Iterator[str]:
    """The words of a run, whose image has just been fetched."""
    was = ""
    for argument in rest:
        if argument == "--pull=always":
            continue
        if (was, argument) == ("--pull", "always"):
            argument = "never"
        yield name if argument == image else argument
        was = argument


def main(program: str, folder: str, address: str, region: str, *arguments: str) -> int:
    real = _real(program, folder)
    if real is None:
        print(f"{program}: command not found", file=sys.stderr)
        return 127
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    place = Place(re.sub(r"^https?://", "", endpoint).rstrip("/") or address, region)
    head = split(arguments)[0]

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([real, *head, *words], capture_output=True, text=True, check=False)

    front = Front(
        program,
        place,
        lambda image: ask("image", "inspect", image).returncode == 0,
        lambda image: ask("image", "ls", "--format", "{{.Tag}}", image).stdout.split(),
    )
    plan = front.plan(arguments)
    for command in plan.before:
        if code := subprocess.run([real, *command], stdin=subprocess.DEVNULL, check=False).returncode:
            return code
    if not plan.after:
        os.execv(real, [program, *plan.command])
    code = subprocess.run([real, *plan.command], check=False).returncode
    for command in plan.after:
        code = code or subprocess.run([real, *command], check=False).returncode
    return code


def _real(program: str, folder: str) -> str | None:
    for place in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(place, program)  # noqa: PTH118
        if place != folder and os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
