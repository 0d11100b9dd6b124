"""Rows of complex functions: PyTorch's name, NumPy's function, and special values as C has them."""

from __future__ import annotations

import numpy as np

INF, NAN = float("inf"), float("nan")

# name in torch, name in NumPy
FUNCTIONS = [
    ("exp", "exp"), ("expm1", "expm1"), ("log", "log"), ("log1p", "log1p"), ("log2", "log2"),
    ("log10", "log10"), ("sqrt", "sqrt"), ("sin", "sin"), ("cos", "cos"), ("tan", "tan"),
    ("sinh", "sinh"), ("cosh", "cosh"), ("tanh", "tanh"), ("asin", "arcsin"), ("acos", "arccos"),
    ("atan", "arctan"), ("asinh", "arcsinh"), ("acosh", "arccosh"), ("atanh", "arctanh"),
    ("abs", "abs"), ("angle", "angle"), ("conj", "conj"), ("reciprocal", "reciprocal"),
    ("square", "square"), ("isnan", "isnan"), ("isinf", "isinf"), ("isfinite", "isfinite"),
    ("isreal", "isreal"),
]  # fmt: skip

# beside the axes, on them, on branch cuts with both signs of zero, large and small
_PARTS = (0.0, -0.0, 1.0, -1.0, 2.5, -0.3, 1e-5, 30.0, -30.0)
GRID = np.array([complex(a, b) for a in _PARTS for b in (0.0, -0.0, 1.0, -3.0, 0.7, 20.0)])

# name, argument, result
SPECIAL = [
    ("abs", complex(INF, NAN), INF),
    ("abs", complex(3e38, 4e38), 5e38),
    ("abs", complex(3e-200, 4e-200), 5e-200),
    ("sqrt", complex(NAN, INF), complex(INF, INF)),
    ("sqrt", complex(-INF, 1), complex(0, INF)),
    ("sqrt", complex(INF, -1), complex(INF, -0.0)),
    ("sqrt", complex(-4.0, -0.0), complex(0, -2)),
    ("exp", complex(-INF, 3), complex(-0.0, 0.0)),
    ("exp", complex(INF, 0), complex(INF, 0)),
    ("log", 0j, complex(-INF, 0)),
    ("log", complex(INF, 5), complex(INF, 0)),
    ("log", complex(1e300, 1e300), complex(691.1221014884936, np.pi / 4)),
    ("reciprocal", complex(INF, 1), 0j),
    ("reciprocal", complex(1e300, 1e300), complex(5e-301, -5e-301)),
    ("tanh", complex(1000.0, 1), complex(1, 0)),
]

# an operation that complex numbers have not, and key words of its error
REFUSED = [
    (lambda t, z: z < z, "not implemented for"),
    (lambda t, z: t.maximum(z, z), "not implemented for"),
    (lambda t, z: z.max(), "not implemented for"),
    (lambda t, z: z.sort(), "not implemented for"),
    (lambda t, z: t.floor(z), "not implemented for"),
    (lambda t, z: t.clamp(z, 0, 1), "not implemented for"),
    (lambda t, z: t.arange(4.0).imag, "imag is not implemented"),
    (lambda t, z: t.view_as_real(t.ones(2)), "only supported for complex"),
    (lambda t, z: t.view_as_complex(t.ones(3)), "last dimension of size 2"),
    (lambda t, z: t.view_as_complex(t.ones(2, 2).t()), "last dimension with stride 1"),
    (lambda t, z: t.complex(t.ones(2), t.ones(2).double()), "Expected object of scalar type"),
    (lambda t, z: t.complex(t.ones(2).int(), t.ones(2).int()), "Expected both inputs"),
    (lambda t, z: t.ones(2).mul_(1j), "can't be cast"),
    (lambda t, z: float(z[0]), "without overflow"),
]
