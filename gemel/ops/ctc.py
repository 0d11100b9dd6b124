"""Connectionist temporal classification (Graves et al. 2006) as a composite with its own gradient.

In logarithms, over the labels with blanks between them: `count` = 2 S + 1 states. Lengths are data.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gemel.graph.form import int64
from gemel.graph.node import Node

from .elementwise import (
    EXP,
    LOG,
    and_,
    cast,
    const,
    eq,
    ge,
    le,
    lt,
    maximum,
    ne,
    or_,
    stop_gradient,
    where,
)
from .loops import scan
from .movement import concat, expand, full, iota, narrow, pad, reshape, zeros
from .ordering import put_along, take_along
from .reduction import sum_

_NEVER = -math.inf
State = tuple[Node, ...]


class Lattice(NamedTuple):
    """What paths go through.

    emitted   [T, N, states]: log-probability of each state's label at each time
    labels    [N, states]
    skips     [N, states]: may a path come from two states before?
    lengths   [N, 1] of inputs; ends [N, 1]: the last state
    """

    emitted: Node
    labels: Node
    skips: Node
    lengths: Node
    ends: Node


def lattice(log_p: Node, targets: Node, lengths: Node, counts: Node, blank: int) -> Lattice:
    """log_p [T, N, C], targets [N, S] (what lies beyond `counts` does not matter)."""
    time, batch, _ = log_p.shape
    width = targets.shape[1]
    blanks = full((batch, width, 1), blank, int64)
    pairs = concat([blanks, reshape(cast(targets, int64), (batch, width, 1))], 2)
    states = 2 * width + 1
    flat = reshape(pairs, (batch, 2 * width))
    labels = concat([flat, full((batch, 1), blank, int64)], 1)
    before = narrow(pad(labels, [(0, 0), (2, 0)], blank), 1, 0, states)
    skips = and_(ne(labels, blank), ne(labels, before))
    ends = reshape(cast(counts, int64), (batch, 1)) * 2
    # labels beyond the end may be anything: they are read as blanks
    labels = where(le(iota(labels.shape, 1, int64), ends), labels, const(blank, int64))
    wide = expand(reshape(labels, (1, batch, states)), (time, batch, states))
    emitted = take_along(log_p, wide, 2)
    return Lattice(emitted, labels, skips, reshape(cast(lengths, int64), (batch, 1)), ends)


def _log_sum(*parts: Node) -> Node:
    """log of the sum of exponentials; nothing but -inf stays -inf."""
    top = parts[0]
    for p in parts[1:]:
        top = maximum(top, p)
    top = where(eq(top, _NEVER), const(0, top.dtype), top)
    total = None
    for p in parts:
        e = EXP(p - top)
        total = e if total is None else total + e
    return LOG(total) + top


def _at(x: Node, t: int) -> Node:
    return reshape(narrow(x, 0, t, 1), x.shape[1:])


def _moved(x: Node, by: int) -> Node:
    """States moved towards the end (by > 0) or the beginning."""
    n = x.shape[1]
    if abs(by) >= n:
        return full(x.shape, _NEVER, x.dtype)
    start = 0 if by > 0 else -by
    widths = (by, 0) if by > 0 else (0, -by)
    return pad(narrow(x, 1, start, n - abs(by)), [(0, 0), widths], _NEVER)


def forward_scores(of: Lattice) -> Node:
    """[T, N, states] alpha: log-probability of all ways to be in each state after each time."""
    time = of.emitted.shape[0]
    state = iota(of.labels.shape, 1, int64)
    first = and_(lt(state, 2), le(state, of.ends))
    start = where(first, _at(of.emitted, 0), _NEVER)

    def step(number: Node, slices: State, carried: State) -> tuple[State, State]:
        (alpha,), (emitted,) = carried, slices
        skipped = where(of.skips, _moved(alpha, 2), _NEVER)
        new = _log_sum(alpha, _moved(alpha, 1), skipped) + emitted
        alpha = where(lt(number + 1, of.lengths), new, alpha)
        return (alpha,), (alpha,)

    rest = narrow(of.emitted, 0, 1, time - 1)
    _, (later,) = scan(step, [rest], [start], time - 1)
    return concat([reshape(start, (1, *start.shape)), later], 0)


def backward_scores(of: Lattice) -> Node:
    """[T, N, states] beta: log-probability of all ways to go on from each state at each time."""
    state = iota(of.labels.shape, 1, int64)
    last = and_(le(state, of.ends), ge(state, of.ends - 1))
    # a state is skipped from, where the state two later is skipped to
    leaves = narrow(pad(cast(of.skips, int64), [(0, 0), (0, 2)]), 1, 2, state.shape[1])
    leaves = ne(leaves, 0)

    def step(number: Node, slices: State, carried: State) -> tuple[State, State]:
        (beta,), (emitted,) = carried, slices
        ahead = _log_sum(beta, _moved(beta, -1), where(leaves, _moved(beta, -2), _NEVER))
        end = eq(of.lengths, number + 1)
        new = where(and_(end, last), const(0, beta.dtype), where(end, _NEVER, ahead))
        beta = where(lt(number, of.lengths), new + emitted, _NEVER)
        beta = where(le(state, of.ends), beta, _NEVER)
        return (beta,), (beta,)

    start = full(state.shape, _NEVER, of.emitted.dtype)
    _, (found,) = scan(step, [of.emitted], [start], of.emitted.shape[0], backwards=True)
    return found


def _negative_log_likelihood(of: Lattice, alpha: Node) -> Node:
    """[N]: of the last two states; an input of no length fits no labels only."""
    batch = of.labels.shape[0]
    last = take_along(alpha, of.ends, 1)
    inner = take_along(alpha, maximum(of.ends - 1, 0), 1)
    inner = where(eq(of.ends, 0), _NEVER, inner)
    nothing = where(eq(of.ends, 0), const(0, alpha.dtype), _NEVER)
    found = where(eq(of.lengths, 0), nothing, _log_sum(last, inner))
    return reshape(-found, (batch,))


def _slope(log_p: Node, of: Lattice, alphas: Node, loss: Node) -> Node:
    """[T, N, C]: the gradient for outputs of a log-softmax: probabilities minus how often each
    label is expected."""
    both = alphas + backward_scores(of)
    expected = EXP(both - of.emitted + reshape(loss, (1, loss.shape[0], 1)))
    expected = where(eq(both, _NEVER), const(0, both.dtype), expected)
    labels = expand(reshape(of.labels, (1, *of.labels.shape)), both.shape)
    share = put_along(zeros(log_p.shape, log_p.dtype), labels, expected, 2, True)
    time = iota((log_p.shape[0], 1, 1), 0, int64)
    inside = lt(time, reshape(of.lengths, (1, *of.lengths.shape)))
    return where(inside, EXP(log_p) - share, const(0, log_p.dtype))


def ctc(
    log_p: Node, targets: Node, lengths: Node, counts: Node, blank: int, finite: bool, slope: bool
) -> Node:
    """[N]: the negative log likelihood of targets [N, S] under log_p [T, N, C].

    finite: infinite losses (targets that do not fit) become 0 and have no gradient.
    slope: is a gradient wanted? It is computed with the loss.
    """
    fixed = stop_gradient(log_p)
    of = lattice(fixed, targets, lengths, counts, blank)
    alphas = forward_scores(of)
    loss = _negative_log_likelihood(of, _at(alphas, alphas.shape[0] - 1))
    lost = eq(loss, math.inf)
    value = where(lost, const(0, loss.dtype), loss) if finite else loss
    if not slope:
        return value
    grads = _slope(fixed, of, alphas, loss)
    if finite:
        grads = where(reshape(lost, (1, lost.shape[0], 1)), const(0, grads.dtype), grads)
    return value + _carried(log_p, fixed, grads)


def _carried(log_p: Node, fixed: Node, grads: Node) -> Node:
    """Zeros [N] whose gradient for log_p is `grads`."""
    apart = log_p - fixed
    apart = where(or_(ne(apart, apart), eq(grads, 0.0)), const(0, apart.dtype), apart)
    return sum_(apart * stop_gradient(grads), (0, 2))
