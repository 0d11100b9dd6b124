"""`gemel.compile(step, steps=n)`: up to n calls of a training step in one native call.

In: a step written against either face, as one would hand it to `torch.compile` or `tf.function`,
and for each call tensors with a leading axis of steps, or whole data sets and the rows that each
step takes. Out: what the steps returned, one behind the other. Parameters, gradients, optimizers,
buffers and random streams are afterwards as after that many calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from gemel import tensor as lazy
from gemel.graph.form import Form, form
from gemel.runtime.buffer import Buffer
from gemel.tensor.bulk import Feed, can_run, run_bulk


class Steps:
    """A compiled step. `way` is how its face records it: of the class of the first tensor given."""

    def __init__(self, function: Callable, most: int):
        functools.update_wrapper(self, function)
        self.function = function
        self.most = most
        self._ways: dict[str, Any] = {}

    def __call__(self, *args, rows=None):
        """step(*(a[k] for a in args)) for every k of the leading axis, in order. With `rows`, an
        array of integers [steps, rows of a batch]: step(*(a[rows[k]] for a in args)). Arguments
        that are no tensors are the same for every step.

        Returns the step's structure of results, its tensors with a leading axis of steps. Raises
        ValueError for sizes that do not fit; what a step raises, with the steps before it done.
        """
        given = _Given(args, None if rows is None else _whole_numbers(rows))
        if given.count > self.most:
            raise ValueError(f"{given.count} steps; this function was compiled for {self.most}")
        way = self._way(given)
        pieces: list = []
        at = 0
        for _ in range(2):  # a first call may have to make its variables without a program
            if at < given.count:
                at += self._run(way, given, at, pieces)
        while at < given.count:
            pieces.append(way.stacked([way.plain(given.slices(at))]))
            at += 1
        return pieces[0] if len(pieces) == 1 else way.joined(pieces)

    def _way(self, given: _Given):
        torch = "torch" in given.tensors[0].kin.__module__.split(".")
        home = "torch" if torch else "tensorflow"
        if home not in self._ways:
            self._ways[home] = import_module(f"gemel.{home}.steps").Way(self.function)
        return self._ways[home]

    def _run(self, way, given: _Given, at: int, pieces: list) -> int:
        """All steps from number `at` on in one call; or that one alone. How many were done."""
        found = way.find(given.examples())
        if found is None:
            pieces.append(way.stacked([way.plain(given.slices(at))]))
            return 1
        traced, rebuild, only = found
        if only is not None:
            pieces.append(way.stacked([only(given.slices(at))]))
            return 1
        if not can_run(traced):
            rest = range(at, given.count)
            pieces.append(way.stacked([way.plain(given.slices(k)) for k in rest]))
            return len(rest)
        feed, runs = given.feed(at), given.count - at
        out = run_bulk(traced, feed, runs, range(len(traced.outputs)))
        pieces.append(rebuild(out, _From(given, at)))
        return runs


class _Given:
    """The arguments of one call. tensors: those among them;  count: steps"""

    def __init__(self, args: tuple, rows: np.ndarray | None):
        self.args = args
        self.rows = rows
        self.tensors: list[Any] = [a for a in args if isinstance(a, lazy.Tensor)]
        if not self.tensors:
            raise ValueError("give the step at least one tensor with a leading axis of steps")
        lengths = {a.form.shape[:1] for a in self.tensors}
        if len(lengths) > 1 or () in lengths:
            shapes = [a.form.shape for a in self.tensors]
            raise ValueError(f"the tensors need leading axes of one size, not shapes {shapes}")
        self.size = lengths.pop()[0]
        self.count = self.size if rows is None else len(rows)
        if rows is not None and rows.size and not -1 < rows.min() <= rows.max() < self.size:
            raise ValueError(f"rows must be from 0 to {self.size - 1}")
        if not self.count:
            raise ValueError("there must be at least one step")

    def _replaced(self, change: Callable) -> tuple:
        return tuple(change(a) if isinstance(a, lazy.Tensor) else a for a in self.args)

    def _form(self, t: Any) -> Form:
        first = () if self.rows is None else (self.rows.shape[1],)
        return form((*first, *t.form.shape[1:]), t.form.dtype)

    def examples(self) -> tuple:
        """Tensors of the forms that a step is given, without values."""

        def example(t):
            f = self._form(t)
            made = lazy.wrap(Buffer(f.nbytes), f, t.kin)
            if lazy.requires_grad(t):
                lazy.set_requires_grad(made, True)
            return made

        return self._replaced(example)

    def slices(self, k: int) -> tuple:
        """What step number k is given."""
        return self._replaced(lambda t: self.part(t, k))

    def part(self, t: Any, which: int | slice):
        """What the step, or the steps, with these numbers are given of a tensor."""
        if self.rows is None:
            return t[which]
        return lazy.from_array(np.take(lazy.array_of(t), self.rows[which], 0), t.kin)

    def feed(self, at: int) -> Feed:
        """Where the steps from number `at` on find their values."""
        buffers = [lazy.evaluated(t) for t in self.tensors]
        if self.rows is not None:
            arrays = [b.array(t.form) for b, t in zip(buffers, self.tensors, strict=True)]
            return Feed(arrays=dict(enumerate(arrays)), rows=self.rows[at:], held=buffers)
        feed = Feed(held=buffers)
        for k, t in enumerate(self.tensors):
            if buffers[k].address % t.form.dtype.itemsize:
                buffers[k] = buffers[k].copy()
            stride = t.form.nbytes // self.size
            feed.addresses[k] = buffers[k].address + stride * np.arange(at, self.size)
        return feed


class _From:
    """The tensors as the steps from number `at` on are given them: made where a step returns one
    of its arguments."""

    def __init__(self, given: _Given, at: int):
        self.given = given
        self.at = at

    def __getitem__(self, k: int):
        return self.given.part(self.given.tensors[k], slice(self.at, None))


def _whole_numbers(rows) -> np.ndarray:
    if isinstance(rows, lazy.Tensor):
        rows = lazy.array_of(rows)
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise ValueError(f"rows must be integers [steps, rows of a batch], not {rows.shape}")
    return rows.astype(np.int64)


def compile(step: Callable | None = None, *, steps: int):
    """A function that calls `step` up to `steps` times in one native call; see `Steps.__call__`.

    A step that cannot be one program (it looks at values) is called time after time. Without
    `step`: a decorator. Raises ValueError where `steps` is no positive number.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a positive number, not {steps!r}")
    if step is None:
        return lambda function: compile(function, steps=steps)
    return Steps(step, steps)
