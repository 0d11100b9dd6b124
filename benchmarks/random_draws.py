"""Random fills of a million values against PyTorch and TensorFlow, which draw the same numbers."""

from timing import in_turn, pin, ratio_row

SIZE = 1_000_000
STEPS = 2


def torch_draws():
    """name -> (ours, PyTorch's), functions of one draw."""
    import torch

    from gemel.graph.form import float32, float64, int64
    from gemel.tensor import random
    from gemel.tensor.tensor import Tensor

    torch.set_num_threads(1)
    g = random.default_generator
    x = torch.ones(SIZE)
    shape = (SIZE,)
    return {
        "rand": (lambda: random.uniform(g, Tensor, shape, float32), lambda: torch.rand(SIZE)),
        "randn": (lambda: random.normal(g, Tensor, shape, float32), lambda: torch.randn(SIZE)),
        "randn float64": (
            lambda: random.normal(g, Tensor, shape, float64),
            lambda: torch.randn(SIZE, dtype=torch.float64),
        ),
        "randint": (
            lambda: random.integers(g, Tensor, shape, int64, 0, 1000),
            lambda: torch.randint(0, 1000, shape),
        ),
        "randperm": (
            lambda: random.permutation(g, Tensor, SIZE, int64),
            lambda: torch.randperm(SIZE),
        ),
        "dropout mask": (
            lambda: random.dropout_mask(g, Tensor, shape, float32, 0.3),
            lambda: torch.nn.functional.dropout(x, 0.3),
        ),
    }


def tensorflow_draws():
    """name -> (ours, TensorFlow's), functions of one draw."""
    import numpy as np
    import tensorflow as tf

    from gemel.graph.form import float32
    from gemel.tensor import from_array
    from gemel.tensor import random_tensorflow as philox
    from gemel.tensor.tensor import Tensor

    source = philox.Stateless(from_array(np.array([1, 2], np.int32), Tensor))
    shape = (SIZE,)
    return {
        "stateless_uniform": (
            lambda: philox.uniform(source, Tensor, shape, float32),
            lambda: tf.random.stateless_uniform(shape, [1, 2]),
        ),
        "stateless_normal": (
            lambda: philox.normal(source, Tensor, shape, float32),
            lambda: tf.random.stateless_normal(shape, [1, 2]),
        ),
        "stateless_truncated_normal": (
            lambda: philox.truncated_normal(source, Tensor, shape, float32),
            lambda: tf.random.stateless_truncated_normal(shape, [1, 2]),
        ),
    }


def main() -> None:
    """Print each draw's time beside its original's; the bound is the original's own time."""
    pin()
    from gemel.tensor import flush

    def repeated(draw, finish):
        def run():
            for _ in range(STEPS):
                value = draw()
                finish()
                del value

        return run

    for peer, draws in (("torch", torch_draws()), ("tensorflow", tensorflow_draws())):
        for name, (ours, theirs) in draws.items():
            candidates = {
                "gemel": repeated(ours, flush),
                peer: repeated(theirs, lambda: None),
            }
            ratio_row(f"{name}, a million", in_turn(candidates, STEPS, rounds=5), peer, 1.0)


if __name__ == "__main__":
    main()
