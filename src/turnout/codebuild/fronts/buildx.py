"""BuildKit's ways to name a registry: what a build puts out, its caches, its named contexts, its builders. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from turnout.codebuild.fronts.place import Place

_TAGS = ("-t", "--tag")
_OUTPUTS = ("-o", "--output")
_CACHES = ("--cache-from", "--cache-to")


def at_registry(rest: Sequence[str], place: Place) -> list[str]:
    """The words of a build with the registry's address wherever BuildKit itself speaks to it.

    A tag is the registry's only if it is pushed. A cache that is named as an image is looked for under both names:
    the legacy builder takes what is on the engine, BuildKit asks the registry.
    """
    is_pushed = "--push" in rest
    words: list[str] = []
    was = ""
    for word in rest:
        option, equals, value = word.partition("=")
        if not (equals and option in (*_TAGS, *_OUTPUTS, *_CACHES)):
            option, value = was, word
        if option in _TAGS and is_pushed:
            changed = place.local(value) or value
        elif option in _OUTPUTS and ("push=true" in value or "type=registry" in value):
            changed = _in_attributes(value, "name", place)
        elif option in _CACHES:
            changed = place.local(value) or _in_attributes(value, "ref", place)
        else:
            changed = value
        whole = word if changed == value else f"{option}={changed}" if option != was else changed
        if option == "--cache-from" and changed != value and place.local(value):
            words += [word, f"{option}={changed}"]
        else:
            words.append(whole)
        was = word
    return words


def with_contexts(words: Sequence[str], at: int, images: Sequence[str], place: Place) -> list[str]:
    """buildx: a builder in a container has no images of the engine; its bases from ECR are given as named contexts."""
    named = [f"--build-context={image}=docker-image://{place.local(image)}" for image in images]
    return [*words[:at], *named, *words[at:]]


def with_host_network(rest: Sequence[str]) -> list[str]:
    """`buildx create`: a builder in a container reaches this machine's registry through the host's network."""
    text = " ".join(rest)
    is_container = "--driver" not in text.replace("--driver-opt", "") or "docker-container" in text
    if not is_container or "network=" in text:
        return list(rest)
    return [*rest[:2], "--driver-opt=network=host", *rest[2:]]


def _in_attributes(text: str, name: str, place: Place) -> str:
    """type=image,"name=a,b",push=true: the images of one attribute, led here."""
    return ",".join(_led(part, name, place) for part in text.split(","))


def _led(part: str, name: str, place: Place) -> str:
    bare = part.strip('"')
    key, equals, image = bare.partition("=")
    if equals and key != name:
        return part
    image = image if equals else bare
    local = place.local(image)
    return part if local is None else part.replace(image, local)
