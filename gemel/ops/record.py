"""What an operation is: `Primitive` (one record with everything the engine knows) and `Call`
(what a face records: a function that expands into primitives).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from weakref import WeakSet

from gemel.graph.errors import NotForComplex
from gemel.graph.form import DType, Form, bool_, complex128, float64, form, int64
from gemel.graph.node import Node, _recorded_at

from . import half_types

PRIMITIVES: dict[str, Primitive] = {}
# name of a primitive -> (attrs, *args) -> Node, what it is on complex values (`complex_rules`)
COMPLEX_RULES: dict[str, Callable[..., Node]] = {}
AS_THEY_ARE = ("pairs", "stop_gradient")  # the two that have complex values themselves


@dataclass(frozen=True, eq=False)
class Primitive:
    """One primitive operation.

    kind       'source', 'elementwise', 'reduction', 'movement', 'contraction', 'indexing',
               'random', 'host', 'attention', 'loop'
    arity      number of arguments, -1 for any
    infer      (attrs, *forms) -> Form; raises ShapeError or DTypeError
    vjp        one rule per argument, (cotangent, node, *args) -> Node, or None where no gradient
               flows; an empty tuple when none flows at all; with arity -1 one function that gives
               a list of gradients
    reference  (attrs, *arrays) -> array, in NumPy
    lower      elementwise only: (emitter, attrs, *operands) -> operand
    composite  (attrs, *args) -> Node: the same value of other primitives; the gradient goes through
               it where a vjp function answers None
    """

    name: str
    kind: str
    arity: int
    infer: Callable[..., Form]
    vjp: tuple | Callable
    reference: Callable
    lower: Callable | None = None
    composite: Callable[..., Node] | None = None

    def __post_init__(self):
        if self.name in PRIMITIVES:
            raise ValueError(f"primitive {self.name} is defined twice")
        PRIMITIVES[self.name] = self

    def __call__(self, *args: Node, attrs: tuple = ()) -> Node:
        return self.expand(attrs, *args)

    def expand(self, attrs: tuple, *nodes: Node) -> Node:
        """A primitive is a Call that expands into itself; on complex values, into others."""
        if _meets_complex(attrs, nodes) and self.name not in AS_THEY_ARE:
            rule = COMPLEX_RULES.get(self.name)
            if rule is None:
                forms = tuple(n.form for n in nodes)
                raise NotForComplex(self.name, "not implemented for complex numbers", forms)
            return rule(attrs, *nodes)
        made = self.infer(attrs, *(a.form for a in nodes))
        if half_types.meets_half(made, nodes):
            return half_types.apply(self, attrs, nodes, made, PRIMITIVES["cast"])
        return Node(self, attrs, nodes, made)

    def forms(self, attrs: tuple, *forms: Form) -> tuple[Form, ...]:
        if any(f.dtype.is_complex for f in forms):
            return (self.expand(attrs, *map(placeholder, range(len(forms)), forms)).form,)
        return (self.infer(attrs, *forms),)

    @property
    def differentiable(self) -> bool:
        return self.vjp != ()

    def __repr__(self) -> str:
        return self.name.upper()


def _meets_complex(attrs: tuple, nodes: tuple[Node, ...]) -> bool:
    """Is an operand complex, or is a complex result asked for?"""
    if any(n.form.dtype.is_complex for n in nodes):
        return True
    return any(a.__class__ is DType and a.is_complex for a in attrs)


def with_complex_rule(function: Callable[..., Node]) -> Callable[..., Node]:
    """Decorator of a composite: on complex values it is the rule of its name."""

    @wraps(function)
    def apply(x: Node, *others) -> Node:
        if x.dtype.is_complex:
            return COMPLEX_RULES[function.__name__]((), x, *others)
        return function(x, *others)

    return apply


_CALLS: WeakSet[Call] = WeakSet()


class Call:
    """What a face records: a name and a function from nodes to nodes.

    function(attrs, *nodes) -> Node or tuple of Nodes. It runs when the call is first seen at a
    point of a program: it checks, promotes and builds; its errors surface at the user's line.
    """

    __slots__ = ("name", "function", "differentiable", "_forms", "__weakref__")

    def __init__(self, name: str, function: Callable, differentiable: bool = True):
        self.name = name
        self.function = function
        self.differentiable = differentiable
        self._forms: dict = {}
        _CALLS.add(self)

    def expand(self, attrs: tuple, *nodes: Node) -> Node | tuple[Node, ...]:
        """The results; half values are computed in float32 and rounded once, at the end."""
        return half_types.once_rounded(self.function, attrs, nodes, PRIMITIVES["cast"])

    def forms(self, attrs: tuple, *forms: Form) -> tuple[Form, ...]:
        """Forms of the results, by abstract evaluation on placeholder leaves (memoised)."""
        key = (repr(attrs), forms)  # repr: 2, 2.0 and True are one key otherwise
        found = self._forms.get(key)
        if found is None:
            try:
                out = self.expand(attrs, *(placeholder(i, f) for i, f in enumerate(forms)))
            except NotForComplex as error:  # the user knows the call, not the primitive
                raise NotForComplex(self.name, error.reason, error.forms) from None
            found = tuple(o.form for o in out) if isinstance(out, tuple) else (out.form,)
            self._forms[key] = found
        return found

    def __repr__(self) -> str:
        return f"Call({self.name})"


def forget_forms() -> None:
    """Forget what calls have inferred: a face has changed what its promotion depends on."""
    for known in _CALLS:
        known._forms.clear()


def call(function: Callable) -> Call:
    """Decorator: `@call def softplus(attrs, x): ...` makes a Call named `softplus`."""
    return Call(function.__name__.strip("_"), function)


def _given(attrs, *forms):
    raise TypeError("a source is made by leaf(), scalar() or const(), not called")


def _is_given(attrs, *forms):
    return attrs[-1]


# attrs: (position, form)
LEAF = Primitive("leaf", "source", 0, _is_given, (), _given)
# attrs: (position, form): a Python number that is an argument of the program
SCALAR = Primitive("scalar", "source", 0, _is_given, (), _given)
# attrs: (value, form)
CONST = Primitive(
    "const", "source", 0, _is_given, (), lambda attrs: attrs[1].dtype.numpy.type(attrs[0])
)


def leaf(index: int, f: Form) -> Node:
    """An input of a program: a tensor given at each call."""
    return Node(LEAF, (index, f), (), f)


# Objects of their own, not the interned forms: they tell a Python number from a 0-dimensional
# tensor, which promote differently.
SCALAR_FORMS = {
    float: Form((), float64),
    int: Form((), int64),
    bool: Form((), bool_),
    complex: Form((), complex128),
}


def scalar(index: int, kind: type) -> Node:
    """An input of a program: a Python number (float, int or bool) given at each call."""
    f = SCALAR_FORMS[kind]
    return Node(SCALAR, (index, f), (), f)


def is_number(node: Node) -> bool:
    """Is it a Python number given at each call? (A complex one is made of two.)"""
    return node.op is SCALAR or node.form is SCALAR_FORMS[complex]


def const(value, dtype) -> Node:
    """A number that is part of the program. Its shape is ()."""
    if dtype.kind == "c":
        return COMPLEX_RULES["const"]((value, dtype))
    f = form((), dtype)
    if dtype.kind == "f":
        value = float(value)
    elif dtype.kind == "b":
        value = bool(value)
    else:
        value = int(value)
        if dtype.kind == "u":
            value &= (1 << dtype.bits) - 1  # wraps, as in C
    made = Node(CONST, (value, f), (), f)
    return half_types.held(made, PRIMITIVES["cast"]) if dtype.half else made


def placeholder(index: int, f: Form) -> Node:
    """A leaf (for a number's form: a scalar) for abstract evaluation only."""
    return Node(SCALAR if f in SCALAR_FORMS.values() else LEAF, (index, f), (), f)


def user_line() -> tuple[str, int] | None:
    """The user's (file, line) that nodes being made now are recorded at."""
    return _recorded_at[0]
