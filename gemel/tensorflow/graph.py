"""`Graph`: a named record of operations, and the scopes in which they are made.

Role: what `tf.Graph` is. Input: operations, in the order in which the program makes them. Output:
names, collections, look-up by name. Invariant: operations are only added, never changed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import context
from .graph_keys import GraphKeys

_NAME = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$")


class Graph:
    """Operations with names. `with graph.as_default():` makes it the one that takes new ones."""

    def __init__(self):
        self._operations: dict = {}
        self._names: dict[str, int] = {}
        self._scope = ""
        self._control: list = []
        self._collections: dict = {}
        self._finalized = False
        self._captured: dict = {}
        self._seed: int | None = None
        self._seeds_given = 0
        self._variable_scopes: list = []
        self._variables: dict = {}
        self._lock = threading.RLock()

    # ---------- operations ----------
    def add(self, operation) -> None:
        """Take in a new operation. RuntimeError when the graph is finalized."""
        self.check_open()
        name = operation.name
        if name in self._operations:
            raise ValueError(f"Duplicate node name in graph: '{name}'")
        self._names.setdefault(name.lower(), 1)
        self._operations[name] = operation

    def check_open(self) -> None:
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")

    def get_operations(self) -> list:
        return list(self._operations.values())

    def get_operation_by_name(self, name: str):
        """KeyError where there is none of that name."""
        found = self._operations.get(name)
        if found is None:
            raise KeyError(f"The name '{name}' refers to an Operation not in the graph.")
        return found

    def get_tensor_by_name(self, name: str):
        """The tensor 'operation:index'. KeyError or ValueError where there is none."""
        found = self.as_graph_element(name, allow_operation=False)
        return found

    def as_graph_element(self, obj, allow_tensor: bool = True, allow_operation: bool = True):
        """A tensor or operation of this graph from itself, a variable or a name.

        Raises KeyError, ValueError or TypeError with TensorFlow's reason.
        """
        if isinstance(obj, str):
            return self._named(obj, allow_tensor, allow_operation)
        convert = getattr(obj, "_as_graph_element", None)
        obj = convert() if convert is not None else obj
        if not hasattr(obj, "graph") or not hasattr(obj, "_is_graph_element"):
            wanted = _wanted(allow_tensor, allow_operation)
            raise TypeError(f"Can not convert a {type(obj).__name__} into a {wanted}.")
        if obj.graph is not self:
            kind = "Tensor" if hasattr(obj, "op") else "Operation"
            raise ValueError(f"{kind} {obj} is not an element of this graph.")
        return obj

    def _named(self, name: str, allow_tensor: bool, allow_operation: bool):
        if ":" in name and allow_tensor:
            return self._named_tensor(name)
        if ":" in name:
            raise ValueError(f"The name '{name}' looks like a Tensor name, not an Operation.")
        if not allow_operation:
            raise ValueError(
                f"The name '{name}' refers to an Operation, not a Tensor. Tensor names must be of "
                'the form "<op_name>:<output_index>".'
            )
        if name not in self._operations:
            raise KeyError(f"The name '{name}' refers to an Operation not in the graph.")
        return self._operations[name]

    def _named_tensor(self, name: str):
        op_name, _, index = name.rpartition(":")
        if not index.isdigit():
            raise ValueError(f"The name '{name}' looks like a Tensor name, but is not a valid one.")
        operation = self._operations.get(op_name)
        if operation is None:
            raise KeyError(
                f"The name '{name}' refers to a Tensor which does not exist. The operation, "
                f"'{op_name}', does not exist in the graph."
            )
        if int(index) >= len(operation.outputs):
            raise KeyError(
                f"The name '{name}' refers to a Tensor which does not exist. The operation, "
                f"'{op_name}', exists but only has {len(operation.outputs)} outputs."
            )
        return operation.outputs[int(index)]

    # ---------- modes ----------
    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """New operations of this thread go here."""
        context.STACKS.graphs.append(self)
        try:
            yield self
        finally:
            context.STACKS.graphs.remove(self)

    def finalize(self) -> None:
        self._finalized = True

    @property
    def finalized(self) -> bool:
        return self._finalized

    @property
    def building_function(self) -> bool:
        return False

    @property
    def version(self) -> int:
        return len(self._operations)

    @property
    def seed(self) -> int | None:
        return self._seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._seed = value
        self._seeds_given = 0

    def next_seed(self) -> int:
        """The seed of a random operation that has none of its own: they are counted."""
        self._seeds_given += 1
        return self._seeds_given - 1

    # ---------- names ----------
    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """The name in the present scope, with _1, _2 ... where it is taken."""
        wanted = f"{self._scope}/{name}" if self._scope else name
        key = wanted.lower()
        taken = self._names.get(key, 0)
        if mark_as_used:
            self._names[key] = taken + 1
        if not taken:
            return wanted
        return self._numbered(wanted, taken, mark_as_used)

    def unique_name_in_full(self, name: str) -> str:
        """The same for a name that already has its scope."""
        before = self._scope
        self._scope = ""
        try:
            return self.unique_name(name)
        finally:
            self._scope = before

    def _numbered(self, wanted: str, taken: int, mark: bool) -> str:
        key = wanted.lower()
        number = taken
        while f"{key}_{number}" in self._names:
            number += 1
        if mark:
            self._names[f"{key}_{number}"] = 1
            self._names[key] = number + 1
        return f"{wanted}_{number}"

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Names made inside begin with `name/`; a name that ends in / is taken as it is."""
        before = self._scope
        if not name:
            self._scope = ""
        elif name.endswith("/"):
            self._scope = name[:-1]
        else:
            if not _NAME.match(name):
                raise ValueError(f"'{name}' is not a valid scope name.")
            self._scope = self.unique_name(name)
        try:
            yield self._scope + "/" if self._scope else ""
        finally:
            self._scope = before

    def get_name_scope(self) -> str:
        return self._scope

    def is_fetchable(self, element) -> bool:
        return True

    def is_feedable(self, tensor) -> bool:
        return True

    @contextmanager
    def device(self, name) -> Iterator[None]:
        """There is one device; the name is taken and changes nothing in the numbers."""
        yield

    # ---------- control dependencies ----------
    @contextmanager
    def control_dependencies(self, inputs) -> Iterator[None]:
        """Operations made inside run after `inputs`; None forgets those of outer blocks."""
        before = self._control
        if inputs is None:
            self._control = []
        else:
            found = [self.as_graph_element(x) for x in inputs]
            self._control = before + [getattr(x, "op", x) for x in found]
        try:
            yield
        finally:
            self._control = before

    @property
    def control_inputs(self) -> tuple:
        return tuple(dict.fromkeys(self._control))

    # ---------- collections ----------
    def add_to_collection(self, name: str, value) -> None:
        self.check_open()
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names, value) -> None:
        for name in (names,) if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection(self, name: str, scope: str | None = None) -> list:
        """A copy of the collection; with `scope` only items whose name matches from its start."""
        found = self._collections.get(name, [])
        if scope is None:
            return list(found)
        pattern = re.compile(scope)
        return [x for x in found if hasattr(x, "name") and pattern.match(x.name)]

    def get_collection_ref(self, name: str) -> list:
        return self._collections.setdefault(name, [])

    def clear_collection(self, name: str) -> None:
        self.check_open()
        self._collections.pop(name, None)

    def get_all_collection_keys(self) -> list[str]:
        return [k for k in self._collections if isinstance(k, str)]

    @property
    def collections(self) -> list[str]:
        return list(self._collections)

    @property
    def trainable_variables(self) -> list:
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)


def _wanted(allow_tensor: bool, allow_operation: bool) -> str:
    kinds = [("Tensor", allow_tensor), ("Operation", allow_operation)]
    return " or ".join(k for k, allowed in kinds if allowed)
