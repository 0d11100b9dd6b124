"""Density, distribution function and quantiles of normal values."""

from __future__ import annotations

import math

from gemel.graph.node import Node

from .elementwise import ERF, LOG
from .error_functions import erfinv

_HALF_LOG_TURN = math.log(math.sqrt(2 * math.pi))


def log_density(x: Node, mean: Node, deviation: Node) -> Node:
    """The logarithm of the density at x."""
    off = x - mean
    return -(off * off) / (deviation * deviation * 2.0) - LOG(deviation) - _HALF_LOG_TURN


def cumulative(x: Node, mean: Node, deviation: Node) -> Node:
    """The probability of a value below x."""
    return (ERF((x - mean) / deviation / math.sqrt(2.0)) + 1.0) * 0.5


def quantile(p: Node, mean: Node, deviation: Node) -> Node:
    """The value below which values lie with probability p."""
    return mean + deviation * erfinv(p * 2.0 - 1.0) * math.sqrt(2.0)
