"""The command line, the environment and the identity of a process task."""

from __future__ import annotations

from pathlib import Path

from turnout.runtimes import Port, Workload
from turnout.runtimes.commands import View, argv_of, environment_of, with_host_paths
from turnout.runtimes.images import Image
from turnout.runtimes.processes import Stat, parse_stat
from turnout.runtimes.references import parse_reference
from turnout.runtimes.sandbox import Sandbox, Userland

IMAGE = Image(
    reference=parse_reference(f"hello@sha256:{'a' * 64}", "us-east-1"),
    manifest="{}",
    command=("app.py",),
    entry_point=("python3",),
    environment={"COLOUR": "green", "PORT": "80"},
    working_directory="/app",
    blobs=(),
    layers=(),
    is_packed=True,
)


def test_a_command_replaces_the_images_command_and_an_entry_point_replaces_both() -> None:
    assert argv_of(Workload("t", "i"), IMAGE) == ("python3", "app.py")
    assert argv_of(Workload("t", "i", command=("other.py",)), IMAGE) == ("python3", "other.py")
    assert argv_of(Workload("t", "i", entry_point=("sh",)), IMAGE) == ("sh",)
    assert argv_of(Workload("t", "i", entry_point=("sh",), command=("-c", ":")), IMAGE) == ("sh", "-c", ":")


def test_the_port_that_was_allocated_wins_over_what_anybody_says() -> None:
    workload = Workload("t", "i", environment={"PORT": "8000", "COLOUR": "blue"})
    made = environment_of(workload, IMAGE, (Port(8000, 61001),), {"PATH": "/bin"})
    assert made == {"PATH": "/bin", "COLOUR": "blue", "PORT": "61001"}


def test_several_ports_are_told_apart_by_the_containers_own() -> None:
    made = environment_of(Workload("t", "i"), IMAGE, (Port(8000, 61001), Port(9000, 61002)), {})
    assert made == {"COLOUR": "green", "PORT": "61001", "PORT_8000": "61001", "PORT_9000": "61002"}


def test_without_a_sandbox_paths_in_the_application_lead_to_the_unpacked_image() -> None:
    view = View(Path("/home/images/unpacked/abc"), None)
    argv = with_host_paths(["/app/run.sh", "--root=/app", "/app", "/application", "x"], view)
    root = "/home/images/unpacked/abc/app"
    assert argv == [f"{root}/run.sh", "--root=/app", root, "/application", "x"]


def test_a_sandbox_shows_the_host_read_only_and_the_image_over_it() -> None:
    userland = Userland((Path("/usr"), Path("/opt")), (("usr/bin", Path("/bin")),), (Path("/nosuch/secret"),), "/bin")
    argv = Sandbox("bwrap", True).argv(userland, Path("/i/app"), Path("/t/tmp"), "/app", ["python3", "app.py"], (1, 2))
    assert " ".join(argv) == (
        "bwrap --json-status-fd 3 --unshare-pid --unshare-ipc --cap-drop ALL --new-session --die-with-parent"
        " --unshare-user --uid 1 --gid 2 --bind /t/tmp /tmp --proc /proc --dev /dev --tmpfs /run --dir /var"
        " --symlink ../tmp /var/tmp --ro-bind /usr /usr --ro-bind /opt /opt --symlink usr/bin /bin"
        " --ro-bind /dev/null /nosuch/secret --ro-bind /i/app /app --remount-ro / --chdir /app -- python3 app.py"
    )


def test_the_name_of_a_process_cannot_confuse_its_identity() -> None:
    fields = "S 10 20 30 0 -1 4194304 1 0 0 0 5 6 7 8 20 0 1 0 98765 1000 12"
    assert parse_stat(f"7 (a) S 1 (b c) {fields}") == Stat(7, "S", 10, 20, 30, 98765, 26, 12)
