"""Tensors in notebooks."""

import base64
import re
import zlib

import numpy as np
import pytest

import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.tensor.html import picture, png, statistics


def test_both_faces_say_what_a_tensor_is():
    t = torch.tensor([[1.0, float("nan")], [3.0, -2.0]])
    shown = t._repr_html_()
    for part in ("(2, 2)", "torch.float32", "-2", "0.666667", "NaN</th><td>1<", "tensor([["):
        assert part in shown
    assert "<img" not in shown
    assert "tf.Tensor" in tf.constant([1, 2])._repr_html_()


def test_images_have_a_picture():
    shown = torch.rand(2, 3, 16, 20)._repr_html_()
    data = base64.b64decode(re.search('base64,([^"]+)', shown).group(1))
    assert data.startswith(b"\x89PNG")
    assert b"<" not in data[:8]


def test_png_holds_the_levels():
    levels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = png(levels)
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at], "big")
    lines = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + length]), np.uint8)
    assert (lines.reshape(2, 10)[:, 1:] == levels.reshape(2, 9)).all()


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((8, 9), (8, 9, 1)),
        ((8, 9, 3), (8, 9, 3)),
        ((3, 8, 9), (8, 9, 3)),
        ((5, 1, 8, 9), (8, 9, 1)),
        ((1024, 512), (256, 128, 1)),
        ((4,), None),
        ((2, 9), None),
        ((7, 8, 9), None),
        ((0, 8), None),
    ],
)
def test_what_looks_like_an_image(shape, expected):
    found = picture(np.ones(shape, np.float32))
    assert (None if found is None else found.shape) == expected


def test_statistics_of_odd_values():
    assert statistics(np.zeros(0)) == []
    assert dict(statistics(np.array([np.nan])))["NaN"] == "1"
    assert dict(statistics(np.array([True, False])))["mean"] == "0.5"
    assert "mean" in dict(statistics(np.array([1 + 2j])))
