"""Tensors in notebooks: shape, element type, statistics, and a small picture of what looks like an
image. HTML and an inline PNG; no script, nothing from outside.
"""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np

SMALLEST, LARGEST = 4, 2048  # sides of what counts as an image, in pixels
SHOWN = 256  # the side of its picture, at most


def html(kind: str, dtype: str, array: np.ndarray, text: str) -> str:
    """A tensor's form in a notebook. text: how it prints."""
    rows = [("shape", str(tuple(array.shape))), ("dtype", dtype), *statistics(array)]
    cells = "".join(f"<tr><th>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    found = picture(array)
    image = "" if found is None else _image(found)
    return (
        f'<div style="display:flex;gap:1em;align-items:flex-start">{image}<div>'
        f"<b>{escape(kind)}</b><table>{cells}</table>"
        f"<details><summary>values</summary><pre>{escape(text)}</pre></details></div></div>"
    )


# ---------- statistics ----------
def statistics(array: np.ndarray) -> list[tuple[str, str]]:
    """(name, value) of the smallest, mean and largest value and the number of NaNs."""
    if array.size == 0:
        return []
    if array.dtype.kind == "c":
        return [("mean", f"{array.mean():.6g}"), ("NaN", str(int(np.isnan(array).sum())))]
    if array.dtype.kind in "bui":
        low, high = str(array.min().item()), str(array.max().item())
        return [("min", low), ("mean", f"{array.mean():.6g}"), ("max", high)]
    values = array.astype(np.float64)
    known = values[~np.isnan(values)]
    found = [("NaN", str(values.size - known.size))]
    if not known.size:
        return found
    with np.errstate(invalid="ignore"):
        mean = known.mean()
    return [
        ("min", f"{known.min():.6g}"),
        ("mean", f"{mean:.6g}"),
        ("max", f"{known.max():.6g}"),
        *found,
    ]


# ---------- the picture ----------
def picture(array: np.ndarray) -> np.ndarray | None:
    """uint8 [height, width, 1 or 3] of what looks like an image, else None.

    Images are [H, W], [H, W, channels] or [channels, H, W], or the first of a batch of these.
    """
    if array.dtype.kind == "c" or array.size == 0:
        return None
    while array.ndim > 3:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3 and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        return None
    height, width = array.shape[:2]
    if not all(SMALLEST <= side <= LARGEST for side in (height, width)):
        return None
    step = -(-max(height, width) // SHOWN)
    return _levels(array[::step, ::step, :3] if array.shape[-1] > 1 else array[::step, ::step])


def _levels(array: np.ndarray) -> np.ndarray:
    """Values as levels of 0 to 255: as they are where they say so, else from the smallest up."""
    if array.dtype == np.uint8:
        return array
    values = np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if 0 <= low and high <= 1:
        low, high = 0.0, 1.0
    span = high - low or 1.0
    return np.round((values - low) / span * 255).astype(np.uint8)


def _image(levels: np.ndarray) -> str:
    height, width = levels.shape[:2]
    scale = max(1, 128 // max(height, width))
    data = base64.b64encode(png(levels)).decode()
    return (
        f'<img width="{width * scale}" height="{height * scale}" alt="the values as a picture" '
        f'style="image-rendering:pixelated" src="data:image/png;base64,{data}">'
    )


def png(levels: np.ndarray) -> bytes:
    """A PNG file of uint8 [height, width, 1 or 3]."""
    height, width, channels = levels.shape
    kind = 0 if channels == 1 else 2
    lines = np.zeros((height, 1 + width * channels), np.uint8)
    lines[:, 1:] = levels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
