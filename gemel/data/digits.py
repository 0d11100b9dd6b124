"""Handwritten digits: 1,797 images of 8 by 8 pixels, with their labels.

Role: reads the data file that ships with the package. Input: `digits.csv.gz` beside this file,
one row an image: 64 pixels of 0..16, then the label. Output: two NumPy arrays.

Source: the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak,
UCI Machine Learning Repository, 1998), as scikit-learn distributes it; licensed under
Creative Commons Attribution 4.0 International (CC BY 4.0).
"""

import gzip
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("digits.csv.gz")
PIXELS = 64


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """The images, float32 [1797, 64] with values 0..16, and the labels, int64 [1797].

    Raises FileNotFoundError when the installed package lacks its data file.
    """
    with gzip.open(FILE, "rt", encoding="ascii") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return np.ascontiguousarray(table[:, :PIXELS]), table[:, PIXELS].astype(np.int64)
