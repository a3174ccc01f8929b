"""What an engine still has of a home that is to be removed: containers, networks and volumes, found by their label."""

from __future__ import annotations

from pathlib import Path

from turnout.runtimes.docker.creating import HOME
from turnout.runtimes.docker.engine import Engine
from turnout.runtimes.docker.naming import home_id


def remove_all(home: Path, socket: Path) -> None:
    """Blocking. Raises SetupError when the engine does not answer."""
    engine = Engine(socket)
    client, label = engine.client, {"label": f"{HOME}={home_id(home)}"}
    try:
        for one in client.containers(all=True, filters=label):
            client.remove_container(one["Id"], force=True, v=True)
        for one in client.networks(filters=label):
            client.remove_network(one["Id"])
        for one in client.volumes(filters=label)["Volumes"] or ():
            client.remove_volume(one["Name"])
    finally:
        engine.close()
