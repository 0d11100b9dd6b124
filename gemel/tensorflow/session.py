"""`Session`: runs parts of a graph. A run is prune, substitute, call.

Role: `tf.Session` and `tf.InteractiveSession`. In: fetches (tensors, operations, variables, names,
nested) and a feed dictionary. Out: NumPy values in the fetches' structure. Invariant: one program
call per run; a fetch and feed seen before costs a look-up and that call.
"""

from __future__ import annotations

import threading

import numpy as np

from . import context
from .config_threading import from_session
from .fetches import Structure
from .graph import Graph
from .plan import Plan
from .symbolic import SymbolicTensor, Tensor


class Cell:
    """A variable's value in one session; None before it is initialised."""

    __slots__ = ("buffer", "form", "name")

    def __init__(self, form, name: str):
        self.buffer = None
        self.form = form
        self.name = name


class BaseSession:
    """What both kinds of session share: a graph, the variables' values, the plans."""

    def __init__(self, target: str = "", graph: Graph | None = None, config=None):
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"Argument `graph` must be a tf.Graph, but got {type(graph).__name__}")
        from_session(config)
        self.graph = graph or context.get_default_graph()
        self.sess_str = target
        self._cells: dict = {}
        self._plans: dict = {}
        self._counters: dict = {}
        self._closed = False
        self._lock = threading.RLock()

    def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
        """Values of the fetches.

        fetches    a tensor, operation (gives None), variable or name; or lists, tuples, dicts of
                   them, nested
        feed_dict  tensor or name -> a value of its element type and shape
        Raises RuntimeError for a closed session, TypeError and ValueError for what cannot be
        fetched or fed, InvalidArgumentError for a placeholder that is needed and not fed,
        FailedPreconditionError for a variable that is not initialised.
        """
        feeds = feed_dict or _NOTHING
        kind = fetches.__class__
        if kind is list or kind is tuple:
            key = (kind, tuple(map(id, fetches)), tuple(map(id, feeds)))
        else:
            key = (id(fetches), tuple(map(id, feeds)))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._planned(key, fetches, feeds)
        with self._lock:
            return plan.run(feeds.values())

    def _planned(self, key, fetches, feeds) -> Plan:
        """A new plan. It is kept under the fetches' identities where these hold elements only:
        the plan holds them, so no other object can take their identities."""
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if not self.graph.get_operations():
            raise RuntimeError(
                "The Session graph is empty. Add operations to the graph before calling run()."
            )
        structure = Structure(self.graph, fetches)
        tensors = [self._fed(k) for k in feeds]
        for tensor, value in zip(tensors, feeds.values(), strict=True):
            _check_fed_value(tensor, value)
        shown = structure.signature, tuple(map(id, tensors))
        plan = self._plans.get(shown)
        if plan is None:
            plan = self._plans[shown] = Plan(self, structure, tensors)
        if structure.flat and not any(isinstance(k, str) for k in feeds):
            plan.held.append((fetches, list(feeds)))
            self._plans[key] = plan
        return plan

    def _fed(self, key) -> SymbolicTensor:
        try:
            tensor = self.graph.as_graph_element(key, allow_operation=False)
        except (KeyError, ValueError, TypeError) as error:
            text = error.args[0] if error.args else error
            raise TypeError(f"Cannot interpret feed_dict key as Tensor: {text}") from None
        if not isinstance(tensor, SymbolicTensor):
            raise TypeError(
                "Cannot interpret feed_dict key as Tensor: Can not convert a Operation into a "
                "Tensor."
            )
        return tensor

    def cell(self, variable) -> Cell:
        """Where the variable's value is in this session."""
        found = self._cells.get(variable)
        if found is None:
            found = self._cells[variable] = Cell(variable.form, variable.op.name)
        return found

    def counter(self, op) -> list[int]:
        """How many values a random operation has drawn here, as a counter of its stream."""
        return self._counters.setdefault(op, [0])

    def partial_run(self, *args, **kwargs):
        raise NotImplementedError("partial_run is not supported; fetch in one call of run")

    def make_callable(self, fetches, feed_list=None, accept_options: bool = False):
        """A function of the feed list's values that runs the fetches."""
        names = list(feed_list or ())

        def call(*values):
            if len(values) != len(names):
                raise ValueError(f"{len(names)} values are needed, got {len(values)}")
            return self.run(fetches, dict(zip(names, values, strict=True)))

        return call

    def list_devices(self) -> list:
        return []

    def close(self) -> None:
        """Forget all values; the session cannot run any more."""
        self._closed = True
        self._plans.clear()
        self._cells.clear()

    def as_default(self):
        """A context in which `eval` and `Operation.run` use this session; it stays open."""
        return _Default(self)

    @property
    def graph_def(self):
        raise NotImplementedError("graph_def: graphs are not serialised")


class Session(BaseSession):
    """`with tf.Session() as sess:` makes session and graph the default, and closes at the end."""

    def __enter__(self) -> Session:
        self._entered = _Default(self, self.graph)
        self._entered.__enter__()
        return self

    def __exit__(self, *exc) -> None:
        self._entered.__exit__(*exc)
        self.close()


class InteractiveSession(BaseSession):
    """A session that is the default one from its making to `close`."""

    def __init__(self, target: str = "", graph: Graph | None = None, config=None):
        super().__init__(target, graph, config)
        self._entered = _Default(self, graph)
        self._entered.__enter__()

    def __enter__(self) -> InteractiveSession:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._entered.__exit__(None, None, None)
        super().close()


class _Default:
    """Puts a session, and a graph with it, on the stacks of defaults."""

    def __init__(self, session: BaseSession, graph: Graph | None = None):
        self.session = session
        self.graph = graph

    def __enter__(self) -> BaseSession:
        context.STACKS.sessions.append(self.session)
        if self.graph is not None:
            context.STACKS.graphs.append(self.graph)
        return self.session

    def __exit__(self, *exc) -> None:
        _drop_last(context.STACKS.sessions, self.session)
        if self.graph is not None:
            _drop_last(context.STACKS.graphs, self.graph)


def _drop_last(stack: list, item) -> None:
    for i in range(len(stack) - 1, -1, -1):
        if stack[i] is item:
            del stack[i]
            return


_NOTHING: dict = {}


def _check_fed_value(tensor: SymbolicTensor, value) -> None:
    if isinstance(value, SymbolicTensor):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include "
            "Python scalars, strings, lists, numpy ndarrays, or TensorHandles. For reference, the "
            f"tensor object was {value} which was passed to the argument `feed_dict` with key "
            f"{tensor}."
        )


def fed_array(tensor: SymbolicTensor, value) -> np.ndarray:
    """The value as an array of the tensor's element type and a shape that fits it."""
    if isinstance(value, Tensor):
        _check_fed_value(tensor, value)
        value = value.numpy()
    array = np.asarray(value, dtype=tensor.dtype.as_numpy_dtype)
    if not tensor.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"Cannot feed value of shape {array.shape} for Tensor {tensor.name}, which has shape "
            f"{tensor.shape}"
        )
    return array
