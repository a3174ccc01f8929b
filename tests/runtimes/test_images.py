"""Packing, resolving and unpacking images."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from turnout.errors import StepFailed
from turnout.runtimes.images import Image, Images
from turnout.runtimes.layers import unpack_layer
from turnout.runtimes.trees import remove_tree

REGION = "us-east-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "application"
    (folder / "static").mkdir(parents=True)
    (folder / "app.py").write_text("print('hello')\n")
    (folder / "static" / "logo.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "home" / "images")


def pack(images: Images, folder: Path, tag: str = "hello:1") -> Image:
    return images.pack(folder, ["python3", "app.py"], tag, REGION, {"COLOUR": "green"})


def contents(root: Path) -> list[str]:
    return sorted(path.relative_to(root / "app").as_posix() for path in (root / "app").rglob("*"))


def test_the_same_contents_make_the_same_digest(images: Images, folder: Path, tmp_path: Path) -> None:
    """Wherever they lie, whenever they were written, and whoever may read them."""
    first = pack(images, folder)
    other = tmp_path / "elsewhere"
    (other / "static").mkdir(parents=True)
    (other / "static" / "logo.svg").write_text("<svg/>")
    (other / "app.py").write_text("print('hello')\n")
    (other / "app.py").chmod(0o600)
    os.utime(other / "app.py", (1, 1))
    assert pack(images, other).reference.digest == first.reference.digest


@pytest.mark.parametrize("change", ["contents", "name", "mode", "environment", "command"])
def test_other_contents_make_another_digest(images: Images, folder: Path, change: str) -> None:
    first = pack(images, folder)
    environment, command = {"COLOUR": "green"}, ["python3", "app.py"]
    match change:
        case "contents":
            (folder / "app.py").write_text("print('hullo')\n")
        case "name":
            (folder / "app.py").rename(folder / "application.py")
        case "mode":
            (folder / "app.py").chmod(0o755)
        case "environment":
            environment = {"COLOUR": "blue"}
        case "command":
            command = ["python3", "-u", "app.py"]
    assert images.pack(folder, command, "hello:1", REGION, environment).reference.digest != first.reference.digest


def test_a_tag_moves_and_remembers_where_it_was(images: Images, folder: Path) -> None:
    first = pack(images, folder)
    (folder / "app.py").write_text("print('hullo')\n")
    second = pack(images, folder)
    assert images.resolve("hello:1", REGION) == second.reference
    assert images.resolve(str(first.reference), REGION) == first.reference
    assert [digest for digest, _ in images.history("hello:1", REGION)] == [
        first.reference.digest,
        second.reference.digest,
    ]


def test_regions_have_registries_of_their_own(images: Images, folder: Path) -> None:
    pack(images, folder)
    with pytest.raises(StepFailed, match="not found"):
        images.resolve("hello:1", "eu-west-1")


def test_a_digest_that_is_not_there_cannot_be_pulled(images: Images, folder: Path) -> None:
    image = pack(images, folder)
    missing = f"hello@sha256:{'0' * 64}"
    with pytest.raises(StepFailed, match="failed to resolve ref") as failed:
        images.resolve(missing, REGION)
    assert failed.value.code == "CannotPullContainerError"
    for blob in (images.folder / "blobs" / "sha256").iterdir():
        if blob.name != str(image.reference.digest)[7:]:
            blob.unlink()
    with pytest.raises(StepFailed, match="not found"):
        images.get(image.reference)


def test_git_the_home_and_what_dockerignore_says_stay_out(folder: Path) -> None:
    for path in (".git/HEAD", ".turnout/secret", "node_modules/a/index.js", "a/node_modules/keep/b.js", "debug.log"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    (folder / "link").symlink_to("app.py")
    os.mkfifo(folder / "fifo")
    (folder / ".dockerignore").write_text("*.log\n**/node_modules\n!a/node_modules/keep\n")
    images = Images(folder / ".turnout" / "images")
    root = images.ensure_unpacked(pack(images, folder))
    assert contents(root) == [
        ".dockerignore",
        "a",
        "a/node_modules",
        "a/node_modules/keep",
        "a/node_modules/keep/b.js",
        "app.py",
        "link",
        "static",
        "static/logo.svg",
    ]
    assert str((root / "app" / "link").readlink()) == "app.py"


def test_an_image_is_unpacked_once_and_read_only(images: Images, folder: Path) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o744)
    image = pack(images, folder)
    root = images.ensure_unpacked(image)
    was = root.stat().st_ino
    assert images.ensure_unpacked(image) == root
    assert root.stat().st_ino == was
    modes = {path.relative_to(root).as_posix(): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {
        ".": 0o555,
        "app": 0o555,
        "app/app.py": 0o444,
        "app/run.sh": 0o555,
        "app/static": 0o555,
        "app/static/logo.svg": 0o444,
    }
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_layer_that_was_tampered_with_is_not_unpacked(images: Images, folder: Path) -> None:
    image = pack(images, folder)
    layer = images.folder / "blobs" / "sha256" / image.layers[0][7:]
    layer.chmod(0o644)
    layer.write_bytes(layer.read_bytes() + b"x")
    with pytest.raises(StepFailed, match="failed to extract layer"):
        images.ensure_unpacked(image)
    assert list((images.folder / "unpacked").iterdir()) == []


@pytest.mark.parametrize(
    "entries",
    [
        [("../evil", tarfile.REGTYPE, "")],
        [("/evil", tarfile.REGTYPE, "")],
        [("app/../../evil", tarfile.REGTYPE, "")],
        [("app", tarfile.SYMTYPE, ".."), ("app/evil", tarfile.REGTYPE, "")],
        [("app", tarfile.SYMTYPE, "../evil"), ("app", tarfile.REGTYPE, "")],
        [("app/x", tarfile.LNKTYPE, "/etc/passwd")],
        [("app/null", tarfile.CHRTYPE, "")],
        [("app/.wh.x", tarfile.REGTYPE, "")],
    ],
)
def test_a_layer_cannot_write_outside_of_its_root(tmp_path: Path, entries: list[tuple[str, bytes, str]]) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, kind, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            tar.addfile(entry)
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True)
    with pytest.raises(StepFailed, match="is not one that an image made by"):
        unpack_layer(io.BytesIO(gzip.compress(archive.getvalue())), root)
    remove_tree(root)
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_the_layout_is_one_that_other_tools_read(images: Images, folder: Path) -> None:
    image = pack(images, folder)
    assert json.loads((images.folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((images.folder / "index.json").read_text())
    [entry] = index["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"].endswith("/hello:1")
    assert (entry["digest"], entry["size"]) == (image.reference.digest, len(image.manifest))
    manifest = json.loads(image.manifest)
    blobs = images.folder / "blobs" / "sha256"
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    assert config["config"]["Cmd"] == ["python3", "app.py"]
    assert config["config"]["Env"] == ["COLOUR=green"]
    assert config["config"]["WorkingDir"] == "/app"
    with gzip.open(blobs / image.layers[0][7:]) as plain, tarfile.open(fileobj=plain) as tar:
        assert tar.getnames() == ["app", "app/app.py", "app/static", "app/static/logo.svg"]


async def test_processes_that_pack_at_once_lose_no_tag(images: Images, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from turnout.runtimes.images import Images\n"
        "Images(Path(sys.argv[1])).pack(Path(sys.argv[2]), ['true'], sys.argv[3], 'us-east-1')"
    )
    packing = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(images.folder), str(folder), f"hello:{n}")
        for n in range(4)
    ]
    assert [await process.wait() for process in packing] == [0] * 4
    assert len({images.resolve(f"hello:{number}", REGION) for number in range(4)}) == 1


def test_a_tag_that_is_a_digest_cannot_be_packed(images: Images, folder: Path) -> None:
    with pytest.raises(ValueError, match="give repository:tag"):
        pack(images, folder, f"hello@sha256:{'0' * 64}")
