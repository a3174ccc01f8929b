"""The paths of a buildspec's cache, its archive, and what of the local ones is kept."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from turnout.codebuild.caches.archive import BadCache, pack_cache, unpack_cache
from turnout.codebuild.caches.paths import CachePath, files_of, parse_cache_path
from turnout.codebuild.caches.places import LEFT_ALONE_S, prune

ROOTS = {"src": Path("/b/1/src/00"), "home": Path("/b/1/home")}


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("node_modules/**/*", CachePath("src", "node_modules/**/*")),
        ("./target", CachePath("src", "target")),
        ("/root/.m2/**/*", CachePath("home", ".m2/**/*")),
        ("$HOME/.cache", CachePath("home", ".cache")),
        ("~/.npm/**", CachePath("home", ".npm/**")),
        ("/root", CachePath("home", "")),
        ("/b/1/src/00/x/*", CachePath("src", "x/*")),
        ("/b/1/home/y", CachePath("home", "y")),
        ("/var/lib/docker/**/*", None),
        ("../other", None),
        ("/rooted/x", None),
        ("~/../x", None),
    ],
)
def test_a_path_below_the_source_or_the_home_of_the_build_is_cached(written: str, path: CachePath | None) -> None:
    assert parse_cache_path(written, ROOTS) == path


def made(folder: Path, *files: str) -> dict[str, Path]:
    roots = {"src": folder / "src", "home": folder / "home"}
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)
    return roots


def test_globs_files_and_whole_directories_are_found(tmp_path: Path) -> None:
    roots = made(tmp_path, "src/a/b/c.txt", "src/a/d.txt", "src/e.txt", "home/.m2/x.jar")
    (tmp_path / "src" / "a" / "link").symlink_to("b")
    assert files_of(CachePath("src", "a/**/*"), roots) == ["a/b/c.txt", "a/d.txt", "a/link"]
    assert files_of(CachePath("src", "a"), roots) == ["a/b/c.txt", "a/d.txt", "a/link"]
    assert files_of(CachePath("src", "*.txt"), roots) == ["e.txt"]
    assert files_of(CachePath("src", "e.txt"), roots) == ["e.txt"]
    assert files_of(CachePath("home", ""), roots) == [".m2/x.jar"]
    assert files_of(CachePath("src", "nowhere/**"), roots) == []


def test_what_was_packed_comes_back_and_the_source_stays_as_it_is(tmp_path: Path) -> None:
    roots = made(tmp_path / "one", "src/a/b.txt", "src/kept.txt", "home/.m2/x.jar")
    (tmp_path / "one" / "src" / "a" / "python").symlink_to("/usr/bin/python3")
    (tmp_path / "one" / "src" / "a" / "b.txt").chmod(0o755)
    archive = tmp_path / "archive"
    files = [("src", "a/b.txt"), ("src", "a/python"), ("src", "kept.txt"), ("src", "gone"), ("home", ".m2/x.jar")]
    assert pack_cache(archive, files, roots) == 4
    others = made(tmp_path / "two", "src/kept.txt", "home/.keep")
    (others["src"] / "kept.txt").write_text("new")
    assert unpack_cache(archive, others) == 3
    assert (others["src"] / "kept.txt").read_text() == "new"
    assert (others["src"] / "a" / "b.txt").stat().st_mode & 0o111
    assert (others["src"] / "a" / "python").readlink() == Path("/usr/bin/python3")
    assert (others["home"] / ".m2" / "x.jar").read_text() == "home/.m2/x.jar"


def test_a_damaged_cache_and_one_that_leads_outside_are_refused(tmp_path: Path) -> None:
    roots = made(tmp_path, "src/x", "home/y")
    archive = tmp_path / "archive"
    archive.write_bytes(b"no archive")
    with pytest.raises(BadCache):
        unpack_cache(archive, roots)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(roots["src"] / "x", "src/../../outside")
    with pytest.raises(BadCache):
        unpack_cache(archive, roots)
    assert not (tmp_path / "outside").exists()


def test_old_caches_go_and_the_longest_unused_when_there_is_too_much(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "recent", "older", "old")):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000.0 - age, 1000.0 - age))
    os.utime(tmp_path / "old", (999.0 - LEFT_ALONE_S, 999.0 - LEFT_ALONE_S))
    prune(tmp_path, now=1000.0)
    assert {file.name for file in tmp_path.iterdir()} == {"new", "recent", "older"}
    prune(tmp_path, now=1000.0, most_bytes=25)
    assert {file.name for file in tmp_path.iterdir()} == {"new", "recent"}
