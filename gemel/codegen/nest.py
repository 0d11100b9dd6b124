"""The loop-nest IR: what a kernel does, before it is LLVM text.

A kernel is one native function with a few sections that run one after the other; a section is a
`Nest` (loops around expressions) or a `Product` (a contraction with its epilogue). Expressions are
trees over *axes* (small integers with a size): a cell of an expression is named by one index per
axis. Buffers are numbered by the kernel; element offsets are affine in the axes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Access:
    """Where a cell lies: element `offset + sum(index[axis] * stride)` of a buffer."""

    buffer: int
    offset: int
    strides: tuple[tuple[int, int], ...]  # (axis, stride in elements), sorted, no zero strides

    def stride(self, axis: int) -> int:
        return next((s for a, s in self.strides if a == axis), 0)

    def axes(self) -> frozenset[int]:
        return frozenset(a for a, _ in self.strides)

    def moved(self, axes: dict[int, tuple[int, int]]) -> Access:
        """Axes replaced: old -> (new axis, factor on its stride)."""
        strides: dict[int, int] = {}
        for a, s in self.strides:
            new, factor = axes.get(a, (a, 1))
            strides[new] = strides.get(new, 0) + s * factor
        return Access(self.buffer, self.offset, tuple(sorted(strides.items())))


def access(buffer: int, offset: int, strides: dict[int, int]) -> Access:
    return Access(buffer, offset, tuple(sorted((a, s) for a, s in strides.items() if s)))


class Expr:
    """One value per index of `axes`.

    kind      payload
    load      Access
    edge      (Access, Bounds, number): a load, or the number where an index falls outside
    const     the number
    scalar    position of the run-time number
    index     (axis, scale, offset): scale * index + offset
    apply     (name, lower, attrs): an elementwise primitive on args
    reduce    (name, axes): 'sum', 'prod', 'max', 'min', 'argmax', 'argmin' of args[0] over axes
    pick      (Access, stride, axes): the element `args[0] * stride` further
    product   the accumulator of the section's contraction
    """

    __slots__ = ("kind", "dtype", "args", "axes", "payload")

    def __init__(self, kind: str, dtype, args: tuple[Expr, ...], axes: Iterable[int], payload):
        self.kind = kind
        self.dtype = dtype
        self.args = args
        self.axes = frozenset(axes)
        self.payload = payload

    def __repr__(self) -> str:
        return f"Expr({self.kind}, {self.dtype}, axes={sorted(self.axes)})"


@dataclass
class Store:
    """Write an expression. `index` and `stride`: a data-dependent further offset (scatter).
    `adding`: what is there is read and joined with it, by the emitter's operation `how`."""

    target: Access
    value: Expr
    index: Expr | None = None
    stride: int = 0
    adding: bool = False
    how: str = "add"
    found: list | None = field(default=None, init=False, repr=False, compare=False)  # by `children`

    def axes(self) -> frozenset[int]:
        return self.target.axes() | self.value.axes | (self.index.axes if self.index else set())


@dataclass
class Nest:
    """Loops over `rows` (outer), inside them passes over `cols`; `lanes` is the vector axis,
    `width` the cells that lie side by side along it.

    Reductions are over all of `cols` (done once a row), over all of `rows` (done at the end,
    a cell per column) or over both.
    """

    sizes: dict[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    lanes: int | None
    stores: list[Store]
    width: int


@dataclass(frozen=True)
class Bound:
    """An index of an operand that may fall outside of its array: the element is 0 unless
    `0 <= start + sum(index[axis] * step) < size`."""

    steps: tuple[tuple[int, int], ...]  # (axis, step)
    start: int
    size: int


@dataclass
class Operand:
    """One side of a product: an access, the element type, and where elements are missing. With a
    `value` the product computes that of loads, among them the access, as it reads them. `lasting`:
    all runs of the kernel read the same."""

    access: Access
    dtype: object
    bounds: tuple[Bound, ...] = ()
    value: Expr | None = None
    lasting: bool = False

    def arrays(self) -> dict[Access, Any]:
        """What is read -> its element type."""
        if self.value is None:
            return {self.access: self.dtype}
        loads = [e for e in _beneath(self.value) if e.kind == "load"]
        return {e.payload: e.dtype for e in loads}


def computed(value: Expr) -> Operand:
    """The side of a product that computes `value`, whose axes are those of one of its loads."""
    loads = [e for e in _beneath(value) if e.kind == "load"]
    largest = max(loads, key=lambda e: len(e.axes))
    return Operand(largest.payload, largest.dtype, (), value)


@dataclass
class Product:
    """A contraction over labelled axes; `stores` read its accumulator through a product Expr."""

    sizes: dict[int, int]
    left: Operand
    right: Operand
    batch: tuple[int, ...]
    rows: tuple[int, ...]  # axes of the left operand and the result
    cols: tuple[int, ...]  # axes of the right operand and the result
    summed: tuple[int, ...]
    stores: list[Store]
    dtype: object = None


@dataclass
class Native:
    """A hand-written loop, or a call of a NumPy function. Buffers are whole and contiguous; those
    of "attention" lie as its attributes say."""

    name: str
    attrs: tuple
    arguments: list[int]
    argument_forms: list
    result: int
    result_form: object

    @property
    def results(self) -> list[int]:
        return [self.result]

    @property
    def hosted(self) -> bool:
        """Is it a call of a NumPy function?"""
        return self.name == "host"


@dataclass
class Repeat:
    """The steps of a loop. arguments: buffers of its operands, in order; taken: (which, of what) ->
    buffer of a result; `plan`: of its body, once that is made (see `codegen.repeats`)."""

    attrs: tuple
    arguments: list[int]
    taken: dict[tuple[str, int], int]
    plan: Any = None

    @property
    def turns(self) -> Any:
        return self.attrs[1]

    @property
    def results(self) -> list[int]:
        return list(self.taken.values())


@dataclass(eq=False)
class Kernel:
    """One native function. `buffers`: what its pointers are, in order (keys of the program)."""

    name: str
    sections: list
    buffers: list
    checks: bool = False
    writes: set = field(default_factory=set)
    flops: int = 0
    first: int = 0  # serial of its first node: the order in which kernels come
    lines: list = field(default_factory=list)  # the user's lines that it computes
    nodes: list = field(default_factory=list)  # what it was made of, for people
    code: str = ""  # the native function that it shares with kernels of the same body
    apart: set = field(default_factory=set)  # buffers whose cells each have one section that writes
    memory: dict = field(default_factory=dict)  # buffer -> an earlier one in the same memory
    plan: Any = None  # its stages of pieces, once they are made
    text: str = ""  # of its body, once that is final
    kept: dict = field(default_factory=dict)  # section -> where what it packs begins, for all runs

    def memory_of(self, buffer: int) -> int:
        return self.memory.get(buffer, buffer)

    @property
    def host(self) -> Native | None:
        """The call of a NumPy function that the kernel is, or None."""
        first = self.sections[0] if self.sections else None
        return first if isinstance(first, Native) and first.hosted else None


# ---------- walks ----------
def _beneath(value: Expr) -> list[Expr]:
    return children([Store(Access(0, 0, ()), value)])


def children(stores: Iterable[Store]) -> list[Expr]:
    """All expressions under the stores, arguments first, each once."""
    found: dict[int, Expr] = {}
    for s in stores:
        if s.found is None:
            s.found = beneath([s.value] if s.index is None else [s.value, s.index])
        for e in s.found:
            found.setdefault(id(e), e)
    return list(found.values())


def beneath(roots: list[Expr], ends: Container[int] = ()) -> list[Expr]:
    """All expressions under the roots and these, arguments first, each once; nothing is looked up
    under those of `ends` (ids)."""
    found: dict[int, Expr] = {}
    stack = [(e, False) for e in reversed(roots)]
    while stack:
        e, ready = stack.pop()
        if ready:
            found.setdefault(id(e), e)
        elif id(e) not in found:
            stack.append((e, True))
            if id(e) not in ends:
                stack.extend((a, False) for a in e.args if id(a) not in found)
    return list(found.values())


def accesses(stores: Iterable[Store]) -> list[Access]:
    """Every affine access of the stores."""
    stores = list(stores)
    out = [s.target for s in stores]
    for e in children(stores):
        if e.kind == "load":
            out.append(e.payload)
        elif e.kind in ("pick", "edge"):
            out.append(e.payload[0])
    return out


# ---------- rewriting ----------
def renewed(e: Expr, args: tuple[Expr, ...]) -> Expr:
    """The expression on other arguments."""
    return Expr(e.kind, e.dtype, args, e.axes, e.payload)


def remade(
    stores: Iterable[Store],
    place: Callable[[Access], Access],
    renew: Callable[[Expr, tuple[Expr, ...]], Expr] = renewed,
) -> list[Store]:
    """The stores with every access changed by `place`, then every expression by `renew`."""
    stores = list(stores)
    made: dict[int, Expr] = {}
    for e in children(stores):
        payload = e.payload
        if e.kind == "load":
            payload = place(payload)
        elif e.kind in ("pick", "edge"):
            payload = (place(payload[0]), *payload[1:])
        args = tuple(made[id(a)] for a in e.args)
        made[id(e)] = renew(Expr(e.kind, e.dtype, e.args, e.axes, payload), args)
    return [
        Store(
            place(s.target),
            made[id(s.value)],
            made[id(s.index)] if s.index is not None else None,
            s.stride,
            s.adding,
            s.how,
        )
        for s in stores
    ]


# ---------- printer ----------
def show_kernel(kernel: Kernel) -> str:
    """The kernel as text: sections with their loops and the expressions they store."""
    head = f"kernel {kernel.name}({', '.join(map(str, kernel.buffers))})"
    return f"{head}\n{show_body(kernel)}"


def show_body(kernel: Kernel) -> str:
    """Everything that the kernel's code depends on; equal texts are one native function."""
    lines = [f"{len(kernel.buffers)} buffers"]
    for section in kernel.sections:
        lines += _show_section(section)
    return "\n".join("  " + line for line in lines)


def _show_section(section) -> list[str]:
    if isinstance(section, Native):
        forms = f"{section.argument_forms} -> {section.result_form}"
        where = f"{section.arguments} -> {section.result}"
        return [f"native {section.name}{section.attrs} {where} : {forms}"]
    if isinstance(section, Repeat):
        return [f"repeat {section.attrs} {section.arguments} -> {section.taken}"]
    sizes = section.sizes
    head = ["axes " + " ".join(f"i{a}<{n}" for a, n in sorted(sizes.items()))]
    if isinstance(section, Product):
        left, right = _show_operand(section.left), _show_operand(section.right)
        types = f"{section.left.dtype} * {section.right.dtype}"
        head.append(f"product {left} * {right} ({types}) summed over {_axes(section.summed)}")
        head[-1] += f" batch {_axes(section.batch)} rows {_axes(section.rows)}"
        for side in (section.left, section.right):
            if side.value is not None:
                head += ["  of", *_show_expressions(_beneath(side.value), {})]
    else:
        head.append(f"rows {_axes(section.rows)} cols {_axes(section.cols)}")
        head[-1] += f" lanes {section.lanes} by {section.width}"
    names: dict[int, str] = {}
    head += _show_expressions(children(section.stores), names)
    for s in section.stores:
        mark = "=" if not s.adding else "+=" if s.how == "add" else f"{s.how}="
        extra = f" at {names[id(s.index)]}*{s.stride}" if s.index is not None else ""
        head.append(f"  {_show_access(s.target)}{extra} {mark} {names[id(s.value)]}")
    return head


def _show_expressions(found: list[Expr], names: dict[int, str]) -> list[str]:
    """A line each; `names` is filled with what they are called."""
    lines = []
    for e in found:
        names[id(e)] = f"t{len(names)}"
        args = ", ".join(names[id(a)] for a in e.args)
        lines.append(f"  {names[id(e)]} = {_show_payload(e)}({args}) : {e.dtype}")
    return lines


def _axes(axes) -> str:
    return "[" + " ".join(f"i{a}" for a in axes) + "]"


def _show_access(a: Access) -> str:
    return f"b{a.buffer}[{_affine(a.offset, a.strides)}]"


def _affine(start: int, steps) -> str:
    terms = [str(start)] if start or not steps else []
    terms += [f"i{x}*{s}" if s != 1 else f"i{x}" for x, s in steps]
    return " + ".join(terms)


def _show_operand(operand: Operand) -> str:
    bounds = [f"0 <= {_affine(b.start, b.steps)} < {b.size}" for b in operand.bounds]
    words = ["lasting"] if operand.lasting else []
    return " ".join([_show_access(operand.access), *words, *(["where", *bounds] if bounds else [])])


def _show_payload(e: Expr) -> str:
    if e.kind == "load":
        return f"load {_show_access(e.payload)} "
    if e.kind == "apply":
        return e.payload[0] if not e.payload[2] else f"{e.payload[0]} {e.payload[2]} "
    if e.kind == "reduce":
        return f"{e.payload[0]} over {_axes(sorted(e.payload[1]))} "
    if e.kind == "pick":
        return f"pick {_show_access(e.payload[0])} stride {e.payload[1]} "
    if e.kind == "edge":
        where, bounds, number = e.payload
        return f"load {_show_operand(Operand(where, e.dtype, bounds))} else {number!r} "
    return f"{e.kind} {e.payload}" if e.kind != "product" else "product"


# ---------- verifier ----------
class InvalidKernel(AssertionError):
    """A pass has built a nest that breaks an invariant: a bug of Gemel, never of its user."""


def verify_kernel(kernel: Kernel) -> None:
    """Raise InvalidKernel unless axes, buffers and reductions are what `Nest` promises."""
    for section in kernel.sections:
        if isinstance(section, Native | Repeat):
            continue
        known = set(section.sizes)
        operands = [section.left, section.right] if isinstance(section, Product) else []
        for a in [*accesses(section.stores), *(a for o in operands for a in o.arrays())]:
            if not a.axes() <= known or not 0 <= a.buffer < len(kernel.buffers):
                raise InvalidKernel(f"{kernel.name}: access {a} outside the nest")
        for bound in (b for o in operands for b in o.bounds):
            if not {a for a, _ in bound.steps} <= known:
                raise InvalidKernel(f"{kernel.name}: {bound} outside the nest")
        for e in children(section.stores):
            if e.kind == "reduce" and not isinstance(section, Nest):
                raise InvalidKernel(f"{kernel.name}: a reduction inside a product")
            if e.kind == "reduce":
                _verify_reduction(kernel, section, e)


def _verify_reduction(kernel: Kernel, nest: Nest, e: Expr) -> None:
    over = e.payload[1]
    rows, cols = set(nest.rows), set(nest.cols)
    if over not in (cols, rows, rows | cols):
        raise InvalidKernel(f"{kernel.name}: reduction over {set(over)} of {rows} x {cols}")


# ---------- collapse ----------
def collapse(nest: Nest) -> Nest:
    """Merge neighbouring loops that every access walks as one (fewer, longer loops)."""
    for group in ("cols", "rows"):
        axes = getattr(nest, group)
        i = 0
        while i + 1 < len(axes):
            outer, inner = axes[i], axes[i + 1]
            if inner != nest.lanes and outer == nest.lanes or not _mergeable(nest, outer, inner):
                i += 1
                continue
            nest = _merge(nest, outer, inner)
            axes = getattr(nest, group)
    return nest


def _mergeable(nest: Nest, outer: int, inner: int) -> bool:
    n = nest.sizes[inner]
    if any(a.stride(outer) != n * a.stride(inner) for a in accesses(nest.stores)):
        return False
    for e in children(nest.stores):
        if e.kind == "index" and e.payload[0] in (outer, inner):
            return False
        if e.kind == "edge" and any(a in (outer, inner) for b in e.payload[1] for a, _ in b.steps):
            return False
        if e.kind == "reduce" and e.payload[0] in ("argmax", "argmin"):
            if {outer, inner} & e.payload[1]:
                return False
    return True


def _merge(nest: Nest, outer: int, inner: int) -> Nest:
    """Drop `outer`; `inner` runs over both."""
    sizes = dict(nest.sizes)
    sizes[inner] *= sizes.pop(outer)

    def drop(a: Access) -> Access:
        return Access(a.buffer, a.offset, tuple(p for p in a.strides if p[0] != outer))

    def renew(e: Expr, args: tuple) -> Expr:
        payload = e.payload
        if e.kind == "reduce":
            payload = (payload[0], payload[1] - {outer})
        return Expr(e.kind, e.dtype, args, e.axes - {outer}, payload)

    stores = remade(nest.stores, drop, renew)

    def without(axes):
        return tuple(a for a in axes if a != outer)

    lanes = inner if nest.lanes == outer else nest.lanes
    return Nest(sizes, without(nest.rows), without(nest.cols), lanes, stores, nest.width)
