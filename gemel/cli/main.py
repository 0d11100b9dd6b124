"""The command line itself: what can be asked, and which module answers.

Role: parses the arguments and hands over. Input: `sys.argv`. Output: the exit status. Invariant:
a command's module is imported only when that command is given, so that starting up stays quick.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from gemel import __version__

# A script's exceptions are its own.
RUN = "gemel.cli.run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Bad arguments end the process with status 2."""
    options = _parser().parse_args(argv)
    module, function = options.handler
    handler = getattr(importlib.import_module(module), function)
    if module == RUN:
        return handler(options)
    try:
        return handler(options)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemel", description="PyTorch, TensorFlow and Keras programs, unmodified, on Gemel."
    )
    parser.add_argument("--version", action="version", version=f"gemel {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_run, _demo, _coverage, _doctor, _cache, _bench):
        add(commands)
    return parser


def _run(commands) -> None:
    parser = commands.add_parser("run", help="run a script over Gemel")
    parser.add_argument("script", metavar="FILE.py", help="a PyTorch, TensorFlow or Keras script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")
    parser.set_defaults(handler=(RUN, "command"))


def _demo(commands) -> None:
    parser = commands.add_parser("demo", help="train the digits three ways and write a report")
    parser.add_argument("--report", default="gemel-report.html", metavar="FILE", help="where to")
    parser.add_argument("--examples", metavar="DIR", help="where the digit programs are")
    parser.add_argument(
        "--original",
        action="store_true",
        help="run the programs under the installed PyTorch and TensorFlow instead, to compare",
    )
    parser.set_defaults(handler=("gemel.cli.demo", "command"))


def _coverage(commands) -> None:
    parser = commands.add_parser("coverage", help="what a face has, and what it lacks")
    parser.add_argument("face", choices=("torch", "tensorflow", "keras"))
    parser.add_argument("namespace", nargs="?", help="list this one by name, such as torch.nn")
    parser.set_defaults(handler=("gemel.cli.coverage", "command"))


def _doctor(commands) -> None:
    parser = commands.add_parser("doctor", help="versions, CPU, threads, cache, GPU")
    parser.set_defaults(handler=("gemel.cli.doctor", "command"))


def _cache(commands) -> None:
    parser = commands.add_parser("cache", help="show or clear the object cache")
    parser.add_argument("action", nargs="?", choices=("show", "clear"), default="show")
    parser.set_defaults(handler=("gemel.cli.cache", "command"))


def _bench(commands) -> None:
    parser = commands.add_parser("bench", help="workloads and kernels beside PyTorch, Keras, JAX")
    add = parser.add_argument
    add("--only", action="append", metavar="PATTERN", help="rows with this in their name (or *, ?)")
    add("--threads", metavar="N,...", help="such as 1,2; default: one pinned core, then all")
    add("--peers", metavar="NAME,...", help="only these: torch, tensorflow, jax, numpy, or none")
    add("--sweeps", action="store_true", help="also the series over sizes")
    add("--quick", action="store_true", help="fewer and shorter samples")
    add("--patience", type=int, metavar="SECONDS", help="for each candidate to become ready")
    add("--list", action="store_true", help="name the rows and stop")
    add("--json", metavar="FILE", help="keep the record here, after every row")
    add("--resume", action="store_true", help="go on with the record in --json")
    add("--html", metavar="FILE", help="write a page with charts")
    add("--compare", metavar="OLD.json", help="name what became slower since; status 1 if any")
    add("--show", metavar="FILE.json", help="show a record; measure nothing")
    parser.set_defaults(handler=("gemel.bench.command", "command"))
