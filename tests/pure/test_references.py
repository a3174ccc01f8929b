"""The names of images, and what a .dockerignore leaves out."""

from __future__ import annotations

import pytest

from turnout.registry import Registry
from turnout.runtimes.ignoring import parse_ignored
from turnout.runtimes.references import name_for_engine, parse_reference

OURS = "000000000000.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hello", f"{OURS}/hello:latest"),
        ("hello:abc", f"{OURS}/hello:abc"),
        ("team/hello:abc", f"{OURS}/team/hello:abc"),
        (f"{OURS}/hello:abc", f"{OURS}/hello:abc"),
        (f"{OURS}/hello@{DIGEST}", f"{OURS}/hello@{DIGEST}"),
        (f"{OURS}/hello:abc@{DIGEST}", f"{OURS}/hello@{DIGEST}"),
        ("000000000000.dkr.ecr.eu-west-1.localhost.localstack.cloud:4566/hello:abc", f"{OURS}/hello:abc"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b", "123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:latest"),
        ("localhost:5000/hello", "localhost:5000/hello:latest"),
        ("docker.io/library/nginx:1.27-alpine", "docker.io/library/nginx:1.27-alpine"),
    ],
)
def test_every_way_to_name_an_image_means_one_name(text: str, meant: str) -> None:
    assert str(parse_reference(text, "eu-west-1")) == meant


@pytest.mark.parametrize(
    "text", ["", "Hello:1", "hello:", "hello:a b", "hello@sha256:abc", "../hello", f"a@b@{DIGEST}"]
)
def test_what_is_no_reference_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not an image reference"):
        parse_reference(text, "eu-west-1")


def test_a_reference_knows_the_region_of_its_registry() -> None:
    assert parse_reference("hello:1", "eu-west-1").region == "eu-west-1"
    assert parse_reference("docker.io/library/nginx", "eu-west-1").region is None


@pytest.mark.parametrize(
    ("patterns", "out", "kept"),
    [
        (["node_modules"], ["node_modules", "node_modules/a/b.js"], ["a/node_modules", "node_modules2"]),
        (["**/node_modules"], ["node_modules", "a/b/node_modules/c"], ["a/node_module"]),
        (["*.pyc"], ["a.pyc"], ["a/b.pyc"]),
        (["**/*.pyc", "# not me", ""], ["a.pyc", "a/b/c.pyc"], ["# not me"]),
        (["/build/", "./dist"], ["build", "build/a", "dist/a"], ["a/build"]),
        (["docs/*", "!docs/README.md"], ["docs/a.md", "docs/a/b.md"], ["docs/README.md", "docs"]),
        (["a?c", "[xy].txt"], ["abc", "x.txt"], ["ac", "a/c", "z.txt"]),
        (["a.b"], ["a.b"], ["aab"]),
        (["**"], ["a", "a/b"], []),
        (["a/**/b"], ["a/b", "a/x/y/b"], ["ab"]),
        ([r"\!important"], ["!important"], ["important"]),
    ],
)
def test_dockerignore_leaves_out_what_docker_leaves_out(patterns: list[str], out: list[str], kept: list[str]) -> None:
    ignored = parse_ignored(patterns)
    assert [path for path in out if path not in ignored] == []
    assert [path for path in kept if path in ignored] == []


DIGEST = f"sha256:{'a' * 64}"
HERE = Registry("127.0.0.1:4566", "us-east-1")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:4566/hello:1", "000000000000.dkr.ecr.us-east-1.amazonaws.com/hello:1"),
        ("localhost:4566/a/b", "000000000000.dkr.ecr.us-east-1.amazonaws.com/a/b:latest"),
        ("127.0.0.1:4566/eu-west-1/hello", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/hello:latest"),
        (
            f"127.0.0.1:4566/hello@sha256:{'a' * 64}",
            f"000000000000.dkr.ecr.us-east-1.amazonaws.com/hello@sha256:{'a' * 64}",
        ),
        ("127.0.0.1:5000/hello:1", "127.0.0.1:5000/hello:1"),
    ],
)
def test_the_address_of_the_registry_here_means_awss_name(text: str, meant: str) -> None:
    assert str(parse_reference(text, "eu-north-1", HERE)) == meant


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/hello", "127.0.0.1:4566/hello:latest"),
        ("000000000000.dkr.ecr.eu-west-1.amazonaws.com/hello:1", "127.0.0.1:4566/eu-west-1/hello:1"),
        ("localhost:4566/hello:1", "127.0.0.1:4566/hello:1"),
        (f"{OURS}/hello@sha256:{'a' * 64}", f"127.0.0.1:4566/eu-west-1/hello@sha256:{'a' * 64}"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/hello", None),
        ("docker.io/library/nginx", None),
        ("hello:1", None),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/Hello", None),
    ],
)
def test_a_container_engine_is_told_the_address_of_what_lies_in_ecr_here(image: str, name: str | None) -> None:
    assert name_for_engine(image, HERE) == name
