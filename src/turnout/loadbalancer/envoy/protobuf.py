"""As much of protocol buffers as Envoy's hot restarts speak: numbers, byte strings, and messages of these.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct


def framed(message: bytes) -> bytes:
    """As it goes over the socket: its length comes first."""
    return struct.pack(">Q", len(message)) + message


def _varint(value: int) -> bytes:
    written = b""
    while value > 127:
        written += bytes([value & 127 | 128])
        value >>= 7
    return written + bytes([value])


def number(key: int, value: int) -> bytes:
    return _varint(key << 3) + _varint(value)


def field(key: int, value: bytes) -> bytes:
    """A string, or a message of its own."""
    return _varint(key << 3 | 2) + _varint(len(value)) + value


def request(message: bytes) -> tuple[int, bytes]:
    """(which request, its body) of a framed message."""
    asked = members_of(message[8:])[1]
    ((kind, body),) = members_of(bytes(asked)).items()
    return kind, bytes(body)


def members_of(message: bytes) -> dict[int, bytes | int]:
    """Field → value: numbers and byte strings are all that this protocol's requests have."""
    found: dict[int, bytes | int] = {}
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if key & 7 == 2:
            found[key >> 3], at = message[at : at + value], at + value
        elif key & 7 == 0:
            found[key >> 3] = value
        else:
            raise ValueError(f"a field of type {key & 7}")
    return found


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at
