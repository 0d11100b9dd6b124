"""Draws small grey images into one PNG, for a page that needs no other file.

Role: the report's digits. Input: images as numbers. Output: the PNG as bytes, and as a data
address for CSS. Invariant: ink is opacity on black, so that the page chooses the background.
"""

import base64
import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY_ALPHA = 4


def sheet(images: np.ndarray, across: int, peak: float) -> np.ndarray:
    """Images [count, side, side] with values 0..peak, laid out `across` in a row: uint8 ink."""
    count, side, _ = images.shape
    down = -(-count // across)
    padded = np.zeros((down * across, side, side), dtype=np.uint8)
    padded[:count] = np.round(images * (255.0 / peak)).astype(np.uint8)
    rows = padded.reshape(down, across, side, side).transpose(0, 2, 1, 3)
    return rows.reshape(down * side, across * side)


def png(ink: np.ndarray) -> bytes:
    """A PNG of black with `ink` (uint8 [height, width]) as opacity."""
    height, width = ink.shape
    pixels = np.zeros((height, 1 + 2 * width), dtype=np.uint8)
    # Each row starts with its filter, none; then grey and opacity take turns.
    pixels[:, 2::2] = ink
    head = struct.pack(">IIBBBBB", width, height, 8, GREY_ALPHA, 0, 0, 0)
    data = zlib.compress(pixels.tobytes(), 9)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def data_address(image: bytes) -> str:
    """The image as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
