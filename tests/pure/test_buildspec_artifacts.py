"""Which files are artifacts, and the zips that carry them."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from turnout.codebuild.artifacts import NoArtifacts, select
from turnout.codebuild.buildspec import Artifacts
from turnout.runtimes.archives import UNIX, BadArchive, pack, unpack

FILES = ("appspec.yml", "dist/index.html", "dist/css/a.css", "dist/css/deep/b.css", ".hidden", "docs/a b.md", "run.sh")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "src" / "run.sh").chmod(0o755)
    (tmp_path / "src" / "link").symlink_to("run.sh")
    (tmp_path / "src" / "styles").symlink_to("dist/css")
    return tmp_path / "src"


def names(source: Path, *files: str, **more: object) -> set[str]:
    return {name for _, name in select(source, Artifacts(files=files, **more)).entries}  # type: ignore[arg-type]


def test_two_stars_cross_directories_and_one_does_not(source: Path) -> None:
    assert names(source, "**/*", enable_symlinks=True) == {*FILES, "link", "styles"}
    assert names(source, "**/*") == {*FILES, "link", "styles/a.css", "styles/deep/b.css"}
    assert names(source, "*") == {"appspec.yml", ".hidden", "run.sh", "link"}
    assert names(source, "dist/*") == {"dist/index.html"}
    assert names(source, "dist/**/*") == {"dist/index.html", "dist/css/a.css", "dist/css/deep/b.css"}
    assert names(source, "dist/**/*.css") == {"dist/css/a.css", "dist/css/deep/b.css"}
    assert names(source, "[ar]*.???", "./docs/a b.md") == {"appspec.yml", "docs/a b.md"}


def test_the_base_directory_is_left_out_and_may_be_a_pattern(source: Path) -> None:
    assert names(source, "**/*", base_directory="dist") == {"index.html", "css/a.css", "css/deep/b.css"}
    assert names(source, "*.css", base_directory="dis*/css") == {"a.css"}
    assert names(source, "index.html", base_directory=str(source / "dist")) == {"index.html"}


def test_paths_can_be_discarded_excluded_and_prefixed(source: Path) -> None:
    assert names(source, "dist/**/*", discard_paths=True) == {"index.html", "a.css", "b.css"}
    assert names(source, "dist/**/*", exclude_paths=("dist/css/**/*",)) == {"dist/index.html"}
    assert names(source, "appspec.yml", s3_prefix="v1/") == {"v1/appspec.yml"}


def test_a_file_that_is_not_there_is_said_and_nothing_at_all_fails(source: Path) -> None:
    selection = select(source, Artifacts(files=("appspec.yml", "taskdef.json", "dist")))
    assert "Skipping invalid file path taskdef.json" in selection.said
    assert "Skipping invalid file path dist" in selection.said
    with pytest.raises(NoArtifacts, match="no matching artifact paths found"):
        select(source, Artifacts(files=("nothing",)))
    with pytest.raises(NoArtifacts, match="no matching base directory path found for out"):
        select(source, Artifacts(files=("**/*",), base_directory="out"))
    with pytest.raises(NoArtifacts):
        select(source, Artifacts(files=("../secret", "/etc/passwd")))


def test_a_zip_keeps_modes_and_links(source: Path, tmp_path: Path) -> None:
    entries = [(name, name) for name in ("run.sh", "link", "appspec.yml")]
    assert unpack(pack(source, entries, keeps_links=True), tmp_path / "kept") == 3
    assert (tmp_path / "kept" / "run.sh").stat().st_mode & 0o111
    assert (tmp_path / "kept" / "link").is_symlink()
    unpack(pack(source, entries, keeps_links=False), tmp_path / "followed")
    assert not (tmp_path / "followed" / "link").is_symlink()
    assert (tmp_path / "followed" / "link").read_text() == "run.sh"


def test_a_zip_that_would_write_elsewhere_is_refused(source: Path, tmp_path: Path) -> None:
    body = pack(source, [("run.sh", "../outside")], keeps_links=False)
    with pytest.raises(BadArchive, match="outside"):
        unpack(body, tmp_path / "in")
    assert not (tmp_path / "outside").exists()
    with pytest.raises(BadArchive):
        unpack(b"no zip", tmp_path / "in")


def zip_of(*entries: tuple[str, str, int]) -> bytes:
    """(name, content, mode) in a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = UNIX, mode << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


LINK = stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (zip_of(("a", "x", 0o644), ("a/b", "x", 0o644)), "a"),
        (zip_of(("a/b", "x", 0o644), ("a", "x", 0o644)), "Is a directory: a"),
        (zip_of(("a/b", "x", 0o644), ("a", "b", LINK)), "Is a directory: a"),
        (zip_of(("a" * 300, "x", 0o644)), "File name too long"),
        (zip_of(("a", "", LINK)), "No such file or directory"),
        (zip_of(("a", "b\0c", LINK)), "null byte"),
    ],
)
def test_a_zip_that_cannot_be_a_folder_is_a_bad_archive(body: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match=problem):
        unpack(body, tmp_path / "in")


def test_a_zip_with_a_password_or_damaged_bytes_is_a_bad_archive(tmp_path: Path) -> None:
    locked = bytearray(zip_of(("a", "x", 0o644)))
    locked[6] |= 1  # the flag of the file's own head
    locked[locked.index(b"PK\1\2") + 8] |= 1  # and of the directory's
    with pytest.raises(BadArchive, match="password"):
        unpack(bytes(locked), tmp_path / "in")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "hello " * 100)
    damaged = bytearray(buffer.getvalue())
    damaged[31:35] = b"\xff\xff\xff\xff"
    with pytest.raises(BadArchive):
        unpack(bytes(damaged), tmp_path / "in")


def test_a_file_whose_name_is_no_text_does_not_fail_the_artifact(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/b\xffd")).write_text("x")
    packed = pack(tmp_path, select(tmp_path, Artifacts(files=("**/*",))).entries, keeps_links=False)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["b\N{REPLACEMENT CHARACTER}d"]
