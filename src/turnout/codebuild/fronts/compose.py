"""docker compose, and docker-compose: its images of ECR are fetched before it runs, and pushed in its place. Pure.

What compose would do with a registry it does by itself, through the engine, and so by the name that its file has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from turnout.codebuild.fronts.place import Place

_TAKES_VALUE = {"-f", "--file", "-p", "--project-name", "--profile", "--env-file", "--project-directory"}
_TAKES_VALUE |= {"--ansi", "--parallel", "--progress", "-H", "--host", "-c", "--context", "--log-level"}
_FETCHES = ("pull", "up", "run", "create", "build", "start")


class NotPossible(Exception):
    """The message says why, and what to do."""


def parts(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """(options of compose, its verb, what follows)"""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _TAKES_VALUE else 1
    return list(words[:at]), "".join(words[at : at + 1]), list(words[at + 1 :])


def images_in(config: str) -> dict[str, str]:
    """Service → image, of what `compose config` prints."""
    found: dict[str, str] = {}
    section = service = ""
    for line in config.splitlines():
        depth = len(line) - len(line.lstrip(" "))
        name, _, value = line.strip().partition(":")
        if depth == 0:
            section = name
        elif section == "services" and depth == 2:
            service = name.strip("\"'")
        elif section == "services" and depth == 4 and name == "image":
            found[service] = value.strip().strip("\"'")
    return found


def fetched(verb: str, images: dict[str, str], place: Place) -> list[str]:
    """Those of ECR that a verb of compose would pull."""
    return [image for image in dict.fromkeys(images.values()) if verb in _FETCHES and place.is_image(image)]


def pushed(following: Sequence[str], images: dict[str, str], place: Place) -> Iterator[str]:
    """Those that a push is about, if one of them is of ECR. Raises NotPossible when it is about others as well."""
    named = [word for word in following if not word.startswith("-")]
    about = [image for service, image in images.items() if not named or service in named]
    if not any(map(place.is_image, about)):
        return
    others = [image for image in about if not place.is_image(image)]
    if others:
        raise NotPossible(
            f"turnout: compose push cannot push to ECR here and to another registry ({', '.join(others)}) in one"
            " command: name the services of each, or use `docker push`."
        )
    yield from about
