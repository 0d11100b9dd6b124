"""Records what PyTorch gives for the cases of its face, for the tests that run without it.

Input: the installed original and the cases of tests/torch_*_cases.py. Output: a JSON file for each
in tests/recorded.
"""

import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
FILES = ("torch_training", "torch_nn", "torch_window", "torch_optim", "torch_data",
         "torch_compile", "torch_transforms", "torch_autograd", "torch_layer",
         "torch_distribution", "torch_loop")  # fmt: skip


def record(folder: Path) -> None:
    """Run every case under the original."""
    import torch
    import torch_compare

    torch.set_num_threads(1)
    for name in FILES:
        cases = torch_compare.cases_of(importlib.import_module(f"{name}_cases"))
        found = {key: torch_compare.run(case, torch) for key, case in cases.items()}
        found["version"] = torch.__version__
        text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "recorded")
