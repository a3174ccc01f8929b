"""How the graph of moto's backends is pickled: what pickle cannot do by itself, or would do wrongly.

backends, BackendDicts     by reference: they are born again, and given their state back
what moto ships            by reference
private keys, certificates as DER
objects of S3              by the name of their body; all versions of a key, not the last alone
lambdas, inner functions   by the place of their code
locks, weak dictionaries   made anew
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import threading
import types
import weakref
from collections import defaultdict
from collections.abc import Callable
from functools import reduce
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from moto.core.base_backend import AccountSpecificBackend, BackendDict, BaseBackend

from turnout.gateway.moto.births import Births, Place, find_backends
from turnout.gateway.moto.bodies import Body
from turnout.gateway.moto.chance import private_der
from turnout.gateway.moto.tuning import import_tuned

_PRIVATE = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)
_PUBLIC = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
_DER, _SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


Reducer = Callable[[Any], Any]


class Pickler(pickle.Pickler):
    """Pickles a graph; afterwards `bodies` are the names of the bodies that it points to."""

    def __init__(self, file: io.BytesIO, births: Births) -> None:
        super().__init__(file, 5)
        self._births = births
        self.bodies: set[str] = set()
        self._reducers: dict[type, Reducer] = {Body: self._reduce_body}

    def reducer_override(self, thing: Any) -> Any:
        """Called for everything but plain values and containers."""
        shipped = self._births.shipped.get(id(thing))
        if shipped is not None:
            return get_shipped, (shipped.place, shipped.key)
        kind = type(thing)
        reducer = self._reducers.get(kind)
        if reducer is None:
            reducer = self._reducers[kind] = _reducer_for(kind)
        return reducer(thing)

    def _reduce_body(self, body: Body) -> Any:
        if body.name is not None:
            self.bodies.add(body.name)
        return Body, (), body.__getstate__()


class Unpickler(pickle.Unpickler):
    """The way back."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("moto.") and module not in sys.modules:
            import_tuned(module)
        return super().find_class(module, name)


def _reducer_for(kind: type) -> Reducer:
    if kind in _REDUCERS:
        return _REDUCERS[kind]
    if kind.__module__.startswith("cryptography."):
        return _reduce_crypto
    if issubclass(kind, defaultdict) and kind is not defaultdict:
        return _reduce_defaultdict
    for parent, reducer in _FAMILIES.items():
        if issubclass(kind, parent):
            return reducer
    return _reduce_versions if kind.__name__ == "_VersionedKeyStore" else _leave_to_pickle


def _leave_to_pickle(thing: Any) -> Any:
    return NotImplemented


def _reduce_backend(backend: Any) -> Any:
    module, account, region = type(backend).__module__, backend.account_id, backend.region_name
    held = find_backends(module).get(account, {})
    if dict.get(held, region) is backend:
        return find_backend, (module, account, region)
    return NotImplemented


def _reduce_crypto(thing: Any) -> Any:
    if isinstance(thing, _PRIVATE):
        return load_private, (private_der(thing),)
    if isinstance(thing, _PUBLIC):
        return load_public, (thing.public_bytes(_DER, _SPKI),)
    if isinstance(thing, x509.Certificate):
        return load_certificate, (thing.public_bytes(_DER),)
    return NotImplemented


def _reduce_versions(store: Any) -> Any:
    """All versions of all keys: its own `items` would give the latest."""
    return restore_versions, (type(store), dict(dict.items(store)))


def _reduce_defaultdict(thing: Any) -> Any:
    return make_defaultdict, (type(thing), thing.default_factory), vars(thing), None, iter(dict.items(thing))


def _reduce_thread(thread: Any) -> Any:
    """DynamoDB's exports are threads that have ended, and records of what they did."""
    own = vars(threading.Thread())
    return make_plainly, (type(thread),), {name: value for name, value in vars(thread).items() if name not in own}


def _reduce_function(function: Any) -> Any:
    """A function that no name leads to, by where its code lies in the function around it."""
    outer, _, name = function.__qualname__.rpartition(".<locals>.")
    if not outer:
        return NotImplemented
    codes = _inner_codes(function.__module__, outer, name)
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return make_function, (
        function.__module__,
        outer,
        name,
        codes.index(function.__code__),
        function.__defaults__,
        cells,
    )


def _inner_codes(module: str, outer: str, name: str) -> list[types.CodeType]:
    """The code objects of that name inside a function, in their order."""
    *path, last = outer.split(".<locals>.")
    if path:
        around = _inner_codes(module, ".<locals>.".join(path), last)
    else:
        function = reduce(getattr, last.split("."), importlib.import_module(module))
        around = [getattr(function, "__wrapped__", function).__code__]
    return [c for code in around for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name]


_REDUCERS: dict[type, Reducer] = {
    type(threading.Lock()): lambda lock: (threading.Lock, ()),
    type(threading.RLock()): lambda lock: (threading.RLock, ()),
    threading.Condition: lambda condition: (threading.Condition, ()),
    weakref.WeakValueDictionary: lambda d: (weakref.WeakValueDictionary, (), None, None, iter(d.items())),
    types.FunctionType: _reduce_function,
}
_FAMILIES: dict[type, Reducer] = {
    threading.Thread: _reduce_thread,
    BaseBackend: _reduce_backend,
    BackendDict: lambda backends: (find_backends, (backends.backend.__module__,)),
    AccountSpecificBackend: lambda account: (find_account, (account.backend.__module__, account.account_id)),
}


# What a pickle names: these may move only together with the format of the snapshot.


def find_backend(module: str, account: str, region: str) -> Any:
    return find_backends(module)[account][region]


def find_account(module: str, account: str) -> Any:
    return find_backends(module)[account]


def get_shipped(place: Place, key: Any) -> Any:
    assert Births.current is not None
    return Births.current.get_shipped(place, key)


def load_private(der: bytes) -> Any:
    # The file is our own; to prove an RSA key right again would take 0.1 s.
    return serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)


def load_public(der: bytes) -> Any:
    return serialization.load_der_public_key(der)


def load_certificate(der: bytes) -> Any:
    return x509.load_der_x509_certificate(der)


def restore_versions(kind: type, versions: dict[Any, Any]) -> Any:
    store = kind()
    for key, value in versions.items():
        dict.__setitem__(store, key, value)
    return store


def make_plainly(kind: Any) -> Any:
    """An object whose __init__ is not to be called."""
    return kind.__new__(kind)


def make_defaultdict(kind: Any, factory: Any) -> Any:
    """A defaultdict of a class whose __init__ takes something else."""
    made = make_plainly(kind)
    made.default_factory = factory
    return made


def make_function(module: str, outer: str, name: str, number: int, defaults: Any, cells: tuple[Any, ...]) -> Any:
    code = _inner_codes(module, outer, name)[number]
    names = vars(importlib.import_module(module))
    return types.FunctionType(code, names, name, defaults, tuple(types.CellType(value) for value in cells))
