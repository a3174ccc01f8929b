"""What moto draws from outside of a request: time, randomness and new private keys.

A request that changes something is answered at one instant, from one seed, and with the keys that it was given the
first time. So replaying it gives the same ids, the same times and the same secrets.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from moto.moto_api._internal import mock_random


@dataclass
class Chance:
    """`keys` are DER in base64: filled while a request is answered, used up while it is replayed."""

    seed: bytes
    at: float
    keys: list[str] = field(default_factory=list)
    is_replay: bool = False


@contextmanager
def at(seconds: float) -> Iterator[None]:
    """Let moto see this time, unix seconds, standing still."""
    with time_machine.travel(seconds, tick=False):
        yield


@contextmanager
def drawing_from(chance: Chance) -> Iterator[None]:
    """Let moto draw from `chance` in this thread. May be nested: the outer one goes on where it was."""
    before = mock_random.getstate()
    mock_random.seed(chance.seed)
    random.seed(chance.seed)  # a few of moto's modules use Python's own
    given = list(chance.keys) if chance.is_replay else None
    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        real = getattr(owner, name)
        replaced.append((owner, name, real))
        setattr(owner, name, make(real))

    replace(os, "urandom", lambda real: _bytes_from(chance.seed, real))
    for owner, name in ((rsa, "generate_private_key"), (ec, "generate_private_key")):
        replace(owner, name, lambda real: _keys_from(chance, given, real))
    replace(ed25519.Ed25519PrivateKey, "generate", lambda real: _keys_from(chance, given, real))
    try:
        with at(chance.at):
            yield
    finally:
        for owner, name, real in reversed(replaced):
            setattr(owner, name, real)
        mock_random.setstate(before)


def _bytes_from(seed: bytes, real: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """os.urandom for this thread; the other threads keep the real one."""
    owner, draws = threading.get_ident(), count()

    def urandom(size: int) -> bytes:
        if threading.get_ident() != owner:
            return real(size)
        return hashlib.shake_256(seed + next(draws).to_bytes(8, "big")).digest(size)

    return urandom


def _keys_from(chance: Chance, given: list[str] | None, real: Callable[..., Any]) -> Callable[..., Any]:
    """OpenSSL cannot be seeded, so the keys themselves are kept."""

    def generate(*args: Any, **kwargs: Any) -> Any:
        if given:
            return serialization.load_der_private_key(base64.b64decode(given.pop(0)), None)
        key = real(*args, **kwargs)
        if not chance.is_replay:
            chance.keys.append(base64.b64encode(private_der(key)).decode())
        return key

    return generate


def private_der(key: Any) -> bytes:
    """A private key as PKCS #8."""
    der: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return der
