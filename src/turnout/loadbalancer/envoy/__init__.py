"""Envoy: rendered from rows, told by files, kept alive, asked for its account."""

from turnout.loadbalancer.envoy.proxy import Envoy

__all__ = ["Envoy"]
