"""A user-written training step (forward, loss, zero_grad, backward, Adam) against PyTorch eager."""

from timing import in_turn, pin, ratio_row

BOUND = 0.25


def main() -> None:
    """Print the figure."""
    pin()
    import torch
    from network import BATCHES, epoch

    import gemel.torch

    torch.set_num_threads(1)
    candidates = {"gemel": epoch(gemel.torch), "PyTorch": epoch(torch)}
    ratio_row("training step, user-written", in_turn(candidates, BATCHES), "PyTorch", BOUND)


if __name__ == "__main__":
    main()
