"""The image of the container that holds the network of a task, as ECS's agent has one: a program that waits.

It is made here, so that it need not be pulled: an executable of one page whose only instruction is pause(2), repeated.
"""

from __future__ import annotations

import io
import struct
import tarfile

from turnout.errors import StepFailed

REPOSITORY, TAG = "localhost/turnout/pause", "latest"
"""Podman takes a name without a host for one of Docker Hub's, and knows no other tag when it imports."""
CHANGES = ['ENTRYPOINT ["/pause"]']

_PAUSE = {
    # mov eax, 34 (pause); syscall; jmp to the beginning
    "amd64": (0x3E, bytes.fromhex("b8220000000f05ebf7")),
    # mov x8, 73 (ppoll); mov x0..x4, 0; svc 0; b to the beginning
    "arm64": (0xB7, struct.pack("<8I", 0xD2800928, *(0xD2800000 | n for n in range(5)), 0xD4000001, 0x17FFFFF9)),
}
_BASE, _HEADERS = 0x400000, 64 + 56


def executable(architecture: str) -> bytes:
    """An ELF file of one loadable segment. Raises StepFailed for a machine that it is not written for."""
    if architecture not in _PAUSE:
        raise StepFailed(
            "CannotCreateContainerError", f"awsvpc: turnout has no pause container for the architecture {architecture}"
        )
    machine, code = _PAUSE[architecture]
    size = _HEADERS + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return identity + header + segment + code


def file_system(architecture: str) -> bytes:
    """The whole file system of the image, as a tar."""
    program = executable(architecture)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("pause")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()
