"""docker and podman: from one command line to those that lead to the registry here. Pure, but for what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from turnout.codebuild.fronts.buildx import at_registry, with_contexts, with_host_network
from turnout.codebuild.fronts.dockerfiles import bases
from turnout.codebuild.fronts.place import Place

BUILDS = ("build", "image build", "buildx build", "builder build", "buildx b")
_TAKES_VALUE = {"--config", "-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert"}
_TAKES_VALUE |= {"--tlskey", "--connection", "--url", "--identity", "--root", "--runroot", "--storage-driver"}
_GROUPS = {"image", "container", "buildx", "builder", "manifest"}

Command = list[str]


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
            changed = [self.place.local(argument) or argument for argument in rest[1:]]
            changed = without_email(changed) if changed != rest[1:] or self.place.address in rest[-1] else changed
            plan.command = [*head, rest[0], *self._insecure(verb), *changed]
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
        elif verb in BUILDS:
            self._build(plan, head, verb, rest)
        elif verb == "buildx create":
            plan.command = [*head, *with_host_network(rest)]
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
        is_anew = "--pull=always" in rest or ("--pull", "always") in zip(rest, rest[1:])  # noqa: B905, RUF007 3.9
        if not is_anew and self.has(image):
            return
        plan.before += self._fetched(head, image)
        name = self.place.local(image) if "@" in image else image
        plan.command = [*head, *(_never_pulled(rest, image, name or image))]

    def _build(self, plan: Plan, head: Command, verb: str, rest: Command) -> None:
        words = at_registry(rest, self.place)
        found = [image for image in bases(rest) if self.place.is_image(image)]
        if verb.startswith("buildx"):
            words = with_contexts(words, len(verb.split(" ")), found, self.place)
        plan.command = [*head, *words]
        for image in found:
            if "@" not in image and not self.has(image):
                plan.before += self._fetched(head, image)

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


def without_email(words: Sequence[str]) -> Command:
    """A login of `aws ecr get-login` of old has `-e none`, which docker has not known since 17.06."""
    kept: Command = []
    was = ""
    for word in words:
        if word not in ("-e", "--email") and was not in ("-e", "--email") and not word.startswith("--email="):
            kept.append(word)
        was = word
    return kept


def split(arguments: Sequence[str]) -> tuple[Command, str, Command]:
    """(options of the program, "image push", the verb's words and all behind them)"""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in _TAKES_VALUE else 1
    rest = list(arguments[at:])
    words = 2 if rest[:1] and rest[0] in _GROUPS and len(rest) > 1 else 1
    return list(arguments[:at]), " ".join(rest[:words]), rest


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
