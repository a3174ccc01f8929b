"""trust: who takes the certificates that ACM issues here. Nothing trusts this home's authority by itself."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnout.authority import Authority
from turnout.cli.options import Home
from turnout.cli.trusting import Anchor, Store, read_anchor
from turnout.cli.trusting.browsers import find_browsers, lacks_certutil
from turnout.cli.trusting.system import find_system
from turnout.config import Config
from turnout.errors import SetupError

NO_CERTUTIL = "  not looked at  the browsers: certutil is not there (Debian: libnss3-tools, Fedora: nss-tools)"


class Action(StrEnum):
    status = "status"
    install = "install"
    remove = "remove"
    path = "path"


def trust(
    home: Home,
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.status,
    every: Annotated[
        bool, typer.Option("--all", help="remove: the authorities of other and former homes as well.")
    ] = False,
) -> None:
    """Let this system and your browsers trust the certificates that ACM issues here, or no longer.

    status tells who trusts this home's certificate authority (exit status 1: not the system), path prints where its
    certificate is. The system's store is changed by root, those of browsers (NSS) by the user who runs them.
    """
    if every and action is not Action.remove:
        raise SetupError("--all says what is removed: `turnout trust remove --all`.")
    user = Path.home()
    stores: list[Store] = [*find_browsers(user)]
    system = find_system(home)
    # The system's last: what a user may change is changed before root is asked for.
    stores += [system] if system else []
    if action is Action.remove:
        _remove(stores, _anchor(home), is_all=every)
        return
    anchor = _ensure(home)
    if action is Action.path:
        print(anchor.path)
        return
    if action is Action.install:
        if not stores:
            raise SetupError(
                f"this system has no store of certificates that turnout knows: trust {anchor.path} by hand."
            )
        for store in stores:
            store.add(anchor)
    _tell(stores, anchor)
    if lacks_certutil(user):
        print(NO_CERTUTIL)
    if system is None or not system.trusts(anchor):
        raise SystemExit(1)


def _tell(stores: list[Store], anchor: Anchor) -> None:
    print(f"{anchor.nickname}: {anchor.path}")
    for store in stores:
        print(f"  {'trusted' if store.trusts(anchor) else 'not trusted':<13}by {store.words}")


def _remove(stores: list[Store], anchor: Anchor | None, *, is_all: bool) -> None:
    if anchor is None and not is_all:
        raise SetupError("this home has no certificate authority. Those of former homes go with --all.")
    for store in stores:
        if anchor is not None:
            store.remove(anchor)
        for name in store.strays(anchor) if is_all else ():
            store.remove_stray(name)
        if anchor is not None and store.trusts(anchor):
            raise SetupError(f"{anchor.path} is still trusted by {store.words}, where turnout has not put it.")
    print(f"Nobody here trusts {'an authority of turnout' if is_all else anchor and anchor.nickname} any longer.")


def _anchor(home: Path) -> Anchor | None:
    path = Authority(Config(home=home).authority).path
    return read_anchor(path) if path.exists() else None


def _ensure(home: Path) -> Anchor:
    """The authority's certificate; it is made if it is not there yet. Raises SetupError where it would be root's."""
    authority = Authority(Config(home=home).authority)
    if not authority.path.exists():
        owner = home.stat().st_uid if home.exists() else None
        if owner not in (None, os.geteuid()):
            raise SetupError(f"{home} is somebody else's, who has to make its authority first: `turnout trust path`.")
        if owner is None and "SUDO_USER" in os.environ:
            raise SetupError(f"{home}, which is root's, holds no engine: name the one that is meant with --home.")
        authority.ensure()
    return read_anchor(authority.path)
