"""The instructions of matrix tiles.

Role: the spelling of what a tile unit does, for tiles of one shape: 16 rows of 64 bytes. A tile of
sums is 16x16 float32; one of operands holds 16x16 pairs of bfloat16. `dot(c, a, b)`: row i, column
j of c grows by the products of pairs a[i][k] and b[k][j], summed over k. Invariant: a function that
configures the unit releases it before it returns, and calls nobody in between who uses tiles.
"""

from __future__ import annotations

from gemel.codegen.llvm import Function, Value

TILES = 8
ROWS = 16  # of a tile, and columns of 4 bytes
BYTES = 1024
_ROW_BYTES = 64


def configure(f: Function) -> None:
    """Make all tiles 16 rows of 64 bytes."""
    words = [0] * 64
    words[0] = 1  # the one palette there is
    for tile in range(TILES):
        words[16 + 2 * tile] = _ROW_BYTES
        words[48 + tile] = ROWS
    _declare(f, "ldtilecfg", "ptr")
    f.emit(f"call void @llvm.x86.ldtilecfg(ptr {f.table('i8', words)})")


def release(f: Function) -> None:
    """Give the unit back: its registers are free again."""
    _declare(f, "tilerelease", "")
    f.emit("call void @llvm.x86.tilerelease()")


def zero(f: Function, tile: int) -> None:
    _declare(f, "tilezero", "i8")
    f.emit(f"call void @llvm.x86.tilezero(i8 {tile})")


def load(f: Function, tile: int, pointer: Value, apart: int = _ROW_BYTES) -> None:
    """Fill a tile from rows that lie `apart` bytes from each other."""
    _declare(f, "tileloadd64", "i8, ptr, i64")
    f.emit(f"call void @llvm.x86.tileloadd64(i8 {tile}, ptr {pointer}, i64 {apart})")


def store(f: Function, tile: int, pointer: Value, apart: int = _ROW_BYTES) -> None:
    """Write a tile to rows that lie `apart` bytes from each other."""
    _declare(f, "tilestored64", "i8, ptr, i64")
    f.emit(f"call void @llvm.x86.tilestored64(i8 {tile}, ptr {pointer}, i64 {apart})")


def dot(f: Function, sums: int, left: int, right: int) -> None:
    """sums += left * right."""
    _declare(f, "tdpbf16ps", "i8, i8, i8")
    f.emit(f"call void @llvm.x86.tdpbf16ps(i8 {sums}, i8 {left}, i8 {right})")


def _declare(f: Function, name: str, arguments: str) -> None:
    f.module.declare(f"declare void @llvm.x86.{name}({arguments})")
