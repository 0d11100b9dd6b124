"""What a kernel costs at least, and what it does in words.

Role: facts for people; no decision depends on them. Input: a kernel with the nodes that it was
made of. Output: operations, bytes, a short description and the user's line.

Operations are counted as the literature counts them: a product is two for every pair of elements
that meet, padding included, and a convolution's gradients are as many as itself; an elementwise
operation on floats and each value that goes into a reduction is one, done where its value varies.
Bytes are those of the cells that are read and written, each array once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gemel.codegen.nest import Access, Kernel, Native, Product, Repeat, Store, children
from gemel.graph.node import Node, order
from gemel.ops.contraction import label_sizes

FREE = frozenset({"cast", "bitcast", "where", "copy", "stop_gradient", "check_range"})
TOLD_KINDS = frozenset({"elementwise", "reduction", "indexing", "random", "host"})
TOLD = 5  # operations that a description names one by one


@dataclass(frozen=True)
class Cost:
    """flops; bytes read and written; what the kernel does; (file, line) or None."""

    flops: int
    read: int
    written: int
    does: str
    line: tuple[str, int] | None


def cost(kernel: Kernel) -> Cost:
    """What running the kernel once costs."""
    products = sum(_contract_flops(n) for n in kernel.nodes if n.op.name == "contract")
    products += sum(_attention_flops(n) for n in kernel.nodes if n.op.name == "attention")
    read, written = _traffic(kernel)
    return Cost(
        flops=products + sum(_cell_flops(s) for s in kernel.sections),
        read=read,
        written=written,
        does=describe(kernel.nodes),
        line=_line(kernel.nodes),
    )


# ---------- operations ----------
def _contract_flops(node: Node) -> int:
    """Places of a window follow from steps and taps, or steps from places and taps: the steps
    count, as in the convolution that the window comes from."""
    sizes = label_sizes(node.attrs, *(a.form for a in node.args))
    places = {window.place for window in node.attrs[3]}
    return 2 * math.prod(n for label, n in sizes.items() if label not in places)


def _attention_flops(node: Node) -> int:
    """Its products: two forward, five backward; with pairs that no mask hides."""
    (part, causal, *_), (query, _, value, *_) = node.attrs, node.args
    *batch, length, width = query.shape
    source, depth = value.shape[-2:]
    pairs = length * source
    if causal:
        seen = min(length, source)
        pairs = seen * (seen + 1) // 2 + (length - seen) * source
    each = width + depth if part == "forward" else 3 * width + 2 * depth
    return 2 * math.prod(batch) * pairs * each


def _cell_flops(section) -> int:
    if isinstance(section, Repeat):
        return section.turns.steps * sum(cost(k).flops for k in section.plan.kernels)
    if isinstance(section, Native):
        return 0
    total = 0
    for e in children(section.stores):
        if e.kind == "apply" and e.dtype.is_float and e.payload[0] not in FREE:
            total += _cells(section, e.axes)
        elif e.kind == "reduce":
            total += _cells(section, e.args[0].axes | e.payload[1])
    return total


def _cells(section, axes: Iterable[int]) -> int:
    return math.prod(section.sizes[a] for a in axes)


# ---------- bytes ----------
def _traffic(kernel: Kernel) -> tuple[int, int]:
    """(read, written). What a kernel has just written and reads again is not read from memory."""
    read: dict[tuple[int, Access], int] = {}
    written: dict[tuple[int, Access], int] = {}
    sizes = [node.form.nbytes for node in kernel.buffers]
    for section in kernel.sections:
        if isinstance(section, Native | Repeat):
            for i in section.arguments:
                read[i, Access(i, 0, ())] = sizes[i]
            for i in section.results:
                written[i, Access(i, 0, ())] = sizes[i]
            continue
        for access, items in _reads(section):
            if not any(buffer == access.buffer for buffer, _ in written):
                read[access.buffer, access] = items
        for store in section.stores:
            written[store.target.buffer, store.target] = _stored(section, store)
    return _whole(read, sizes), _whole(written, sizes)


def _reads(section) -> list[tuple[Access, int]]:
    """Every access that is read, with the bytes of its cells."""
    found = []
    if isinstance(section, Product):
        for side in (section.left, section.right):
            item = side.dtype.itemsize
            axes = {a for b in side.bounds for a, _ in b.steps} | side.access.axes()
            found.append((side.access, item * _cells(section, axes)))
    for e in children(section.stores):
        if e.kind == "load":
            found.append((e.payload, e.dtype.itemsize * _cells(section, e.payload.axes())))
        elif e.kind == "pick":
            found.append((e.payload[0], e.dtype.itemsize * _cells(section, e.axes)))
    adding = [s for s in section.stores if s.adding]
    return found + [(s.target, _stored(section, s)) for s in adding]


def _stored(section, store: Store) -> int:
    axes = store.axes() if store.index is not None else store.target.axes()
    return store.value.dtype.itemsize * _cells(section, axes)


def _whole(touched: dict, sizes: list[int]) -> int:
    """Several accesses of a buffer together touch at most all of it."""
    per_buffer: dict[int, int] = {}
    for (buffer, _), count in touched.items():
        per_buffer[buffer] = per_buffer.get(buffer, 0) + count
    return sum(min(count, sizes[buffer]) for buffer, count in per_buffer.items())


# ---------- words ----------
def describe(nodes: list[Node]) -> str:
    """What the nodes do, in their order: products with their sizes, then the rest by name."""
    loops = [n for n in nodes if n.op.name == "loop"]
    if loops:
        body, turns = loops[0].attrs
        return f"{turns.steps} times: {describe(order(body.results))}"
    products = [_product_words(n) for n in nodes if n.op.name == "contract"]
    others = [n for n in nodes if n.op.kind in TOLD_KINDS]
    others = [n for n in others if _is_told(n)]
    names = _names(others)
    if products:
        return " + ".join([*products, *names])
    attended = [n for n in nodes if n.op.name == "attention"]
    if attended:
        return " + ".join(map(_attention_words, attended))
    moved = [n for n in nodes if n.op.kind in ("movement", "elementwise")]
    if not others:
        return f"{moved[-1].op.name} {_shape(moved[-1])}" if moved else "fill"
    largest = max(others, key=_extent)
    whole = largest.args[0] if largest.op.kind == "reduction" else largest
    return f"{_shape(whole)}: {', '.join(names)}"


def _names(nodes: list[Node]) -> list[str]:
    """The operations by name; only some of them where there are many."""
    names = [_name(n) for n in nodes]
    if len(names) <= TOLD:
        return names
    kinds = list(dict.fromkeys(names))
    more = ", ..." if len(kinds) > TOLD else ""
    return [f"{len(names)} operations ({', '.join(kinds[:TOLD])}{more})"]


def _product_words(node: Node) -> str:
    la, lb, lo, windows = node.attrs
    a, b = node.args
    if windows:
        kind = _window_kind(node)
        return f"{kind} {_shape(a)} * {_shape(b)} -> {_shape(node)}"
    sizes = label_sizes(node.attrs, a.form, b.form)

    def extent(labels) -> int:
        return math.prod(sizes[label] for label in labels)

    batch = extent(set(la) & set(lb) & set(lo))
    rows = extent((set(la) & set(lo)) - set(lb))
    columns = extent((set(lb) & set(lo)) - set(la))
    summed = extent((set(la) | set(lb)) - set(lo))
    many = f"{batch} * " if batch > 1 else ""
    return f"matmul {many}{rows}x{columns}x{summed}"


def _attention_words(node: Node) -> str:
    query, key = node.args[:2]
    gradient = "'s gradients" if node.attrs[0] == "backward" else ""
    heads = math.prod(query.shape[:-2])
    *_, length, width = query.shape
    return f"attention{gradient} {heads} * {length}x{key.shape[-2]}x{width}"


def _window_kind(node: Node) -> str:
    """Steps in the result: a convolution. Places: its gradient for the images. Taps: for the
    kernel."""
    window, result = node.attrs[3][0], node.attrs[2]
    if window.step in result:
        return "convolution"
    return "convolution's input gradient" if window.place in result else "weight gradient"


def _shape(node: Node) -> str:
    return "x".join(map(str, node.shape)) or "one value"


def _is_told(node: Node) -> bool:
    """Conditions and conversions go without saying; what is chosen by a condition does not."""
    if node.op.name == "where":
        return True
    return node.op.name not in FREE and node.dtype.kind != "b"


def _name(node: Node) -> str:
    if node.op.name == "where":
        zeros = [a for a in node.args[1:] if _is_zero(a)]
        condition = node.args[0]
        cut = any(_is_zero(a) for a in condition.args)
        return "relu" if zeros and cut else "mask" if zeros else "where"
    if node.op.name == "host":
        return f"host call {node.attrs[0]}"
    if node.op.name == "maximum" and any(_is_zero(a) for a in node.args):
        return "relu"
    if node.op.name == "add" and any(_is_spread(a, node) for a in node.args):
        return "bias"
    return node.op.name


def _source(node: Node) -> Node:
    """The value itself, behind changes of shape and type."""
    while node.op.name in ("expand", "reshape", "permute", "cast", "copy") and node.args:
        node = node.args[0]
    return node


def _is_zero(node: Node) -> bool:
    node = _source(node)
    return node.op.name == "const" and node.form.ndim == 0 and not node.attrs[0]


def _is_spread(argument: Node, node: Node) -> bool:
    """A vector of the program's inputs that goes to all rows, or to all pixels."""
    source = _source(argument)
    return 1 < source.form.size < node.form.size and source.op.name == "leaf"


def _extent(node: Node) -> int:
    """How many cells computing the node goes through."""
    return max([node.form.size, *(a.form.size for a in node.args)])


def _line(nodes: list[Node]) -> tuple[str, int] | None:
    """The line of what takes longest: the largest product, else the first of the largest."""
    placed = [n for n in nodes if n.where]
    products = [n for n in placed if n.op.name == "contract"]
    if products:
        return max(products, key=_contract_flops).where
    return max(placed, key=_extent).where if placed else None
