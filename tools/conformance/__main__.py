"""Run a suite, print its scoreboard, and compare it with the recorded one.

    python -m tools.conformance opinfo [--only 'linalg.*'] [--dtypes float32] [--checks forward]
    python -m tools.conformance opinfo --record

Exit status 1 where a whole run has a lower score than docs/conformance.json records.
"""

from __future__ import annotations

import argparse
import importlib
import sys

SUITES = ("opinfo", "onnx", "transforms")


def main() -> int:
    """The suite's own command line."""
    if len(sys.argv) < 2 or sys.argv[1] not in SUITES:
        print(f"usage: python -m tools.conformance {{{','.join(SUITES)}}} ...", file=sys.stderr)
        return 2
    suite = sys.argv[1]
    parser = argparse.ArgumentParser(prog=f"python -m tools.conformance {suite}")
    return importlib.import_module(f"tools.conformance.{suite}_board").main(parser, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
