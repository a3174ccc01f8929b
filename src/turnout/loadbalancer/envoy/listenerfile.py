"""The file of listeners: the ports that Envoy answers on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence

from turnout.loadbalancer.envoy.files import Folder
from turnout.loadbalancer.envoy.listeners import Shape, marks_in, render_listener
from turnout.loadbalancer.envoy.matches import Json, needs_source
from turnout.loadbalancer.envoy.ports import PortMap
from turnout.loadbalancer.envoy.routes import compact
from turnout.loadbalancer.envoy.tls import chains_of
from turnout.loadbalancer.envoy.watchers import Watchers
from turnout.loadbalancer.picture import Picture, Site

log = logging.getLogger(__name__)

TOO_MANY = (
    "the listener on port {port} does not answer: Envoy may watch no more files, as the kernel grants this user only so"
    " many inotify instances. Raise fs.inotify.max_user_instances, or let load balancers share a port"
)


class ListenerFile:
    """Knows what each port was last told as. A port that cannot be bound is left out, and tried again later."""

    def __init__(
        self, folder: Folder, watchers: Watchers, ports: PortMap, host: str, is_held: Callable[[str], bool]
    ) -> None:
        self._folder = folder
        self._watchers = watchers
        self._ports = ports
        self._host = host
        self._is_held = is_held
        self._told: dict[int, tuple[Shape, str]] = {}
        self._watched: set[str] = set()
        """The files of certificates that Envoy watches."""

    def begin(self) -> None:
        """A new Envoy is about to start: whatever was bound is so no more."""
        self._told = {}
        self._watched = set()

    def adopt(self) -> None:
        """Envoy was found running: the ports in its file are not taken, they are ours."""
        if self._told or not self._folder.listeners.exists():
            return
        try:
            self._adopt(json.loads(self._folder.listeners.read_text())["resources"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # The sockets that Envoy has handed over say the same: `put` writes the file anew.
            log.error("%s is damaged, and is written again: %s", self._folder.listeners, error)
            self._told = {}

    def _adopt(self, resources: list[Json]) -> None:
        for rendered in resources:
            port = int(rendered["name"].removeprefix("port-"))
            address = rendered["address"]["socket_address"]
            if (address["address"], address["port_value"]) == (self._host, self._ports.of(port)):
                manager = rendered["filter_chains"][0]["filters"][0]["typed_config"]
                source = "early_header_mutation_extensions" in manager
                # Its chains are told again: what has not changed is not written anew.
                self._told[port] = (Shape(source, marks_in(rendered)), compact(rendered))

    def addresses(self) -> list[str]:
        """Where Envoy has been told to listen: "tcp://127.0.0.1:80"."""
        return [self.address(port) for port in self._told]

    def address(self, port: int) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"tcp://{host}:{self._ports.of(port)}"

    def misses(self, picture: Picture) -> bool:
        return bool(picture.ports.keys() - self._told.keys())

    def put(self, picture: Picture) -> None:
        """Write the listeners of these ports."""
        for port, sites in picture.ports.items():
            known = self._told.get(port)
            shape = shape_of(sites)
            error = None if known else self._obstacle(port)
            if error is None and not self._may_watch(shape):
                error = TOO_MANY.format(port=port)
            if self._ports.blame(port, error) and error:
                log.error("%s", error)
            if error is None and (known is None or known[0] != shape):
                self._told[port] = (shape, self._render(port, shape))
        self._watched &= {name for told, _ in self._told.values() for name in _secrets(told)}
        self._told = {port: told for port, told in self._told.items() if port in picture.ports}
        self._folder.put(
            self._folder.listeners, f'{{"resources":[{",".join(text for _, text in self._told.values())}]}}'
        )

    def _obstacle(self, port: int) -> str | None:
        # A port that an Envoy has left is bound all the while, by the socket that the next one inherits.
        if not self._is_held(self.address(port)) and (error := self._ports.taken(port)) is not None:
            return error
        return None if self._watchers.take(1) else TOO_MANY.format(port=port)

    def _may_watch(self, shape: Shape) -> bool:
        """Whether Envoy may watch the files of a port's certificates; each is watched once, however many name it."""
        new = _secrets(shape) - self._watched
        if new and not self._watchers.take(len(new)):
            return False
        self._watched |= new
        return True

    def _render(self, port: int, shape: Shape) -> str:
        files = (self._folder.routes(port), self._folder.failure_log)
        return compact(render_listener(port, self._host, self._ports.of(port), *files, shape, self._folder.secret))


def _secrets(shape: Shape) -> set[str]:
    return {name for chain in shape.chains if chain.tls is not None for name in chain.tls.certificates}


def shape_of(sites: Sequence[Site]) -> Shape:
    """What of the sites of a port is in its listener itself. The marks of those that share it add up."""
    marks = [site.marks for site in sites if site.marks]
    total = tuple(map(sum, zip(*marks, strict=True)))
    return Shape(any(needs_source(site.rules) for site in sites), total, chains_of(sites))
