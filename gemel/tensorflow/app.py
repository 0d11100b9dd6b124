"""`tf.app` and `tf.flags` of TensorFlow 1: a script's entry and its command-line options."""

from __future__ import annotations

import argparse
import sys


class _Flags:
    """Options by name, read from the command line when one is first asked for."""

    def __init__(self):
        self.__dict__["_parser"] = argparse.ArgumentParser()
        self.__dict__["_values"] = None
        self.__dict__["_rest"] = None

    def _parse(self, arguments=None) -> list[str]:
        """Read the options; returns what is left over."""
        known, rest = self._parser.parse_known_args(arguments)
        self.__dict__["_values"] = vars(known)
        self.__dict__["_rest"] = rest
        return rest

    def __getattr__(self, name: str):
        if self._values is None:
            self._parse()
        if name not in self._values:
            raise AttributeError(f"Unknown command line flag '{name}'")
        return self._values[name]

    def __setattr__(self, name: str, value) -> None:
        if self._values is None:
            self._parse()
        self._values[name] = value

    def _define(self, name: str, default, help_: str, kind) -> None:
        self._parser.add_argument(f"--{name}", default=default, help=help_, type=kind)
        self.__dict__["_values"] = None


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "t", "1", "yes", "false", "f", "0", "no"):
        raise argparse.ArgumentTypeError(f"{text!r} is no truth value")
    return text.lower() in ("true", "t", "1", "yes")


class _FlagModule:
    """`tf.flags`: definitions of options, and their values in `FLAGS`."""

    FLAGS = _Flags()

    def DEFINE_string(self, name: str, default, help: str = "", **options) -> None:
        self.FLAGS._define(name, default, help, str)

    def DEFINE_integer(self, name: str, default, help: str = "", **options) -> None:
        self.FLAGS._define(name, default, help, int)

    def DEFINE_float(self, name: str, default, help: str = "", **options) -> None:
        self.FLAGS._define(name, default, help, float)

    def DEFINE_boolean(self, name: str, default, help: str = "", **options) -> None:
        self.FLAGS._define(name, default, help, _truth)

    DEFINE_bool = DEFINE_boolean


flags = _FlagModule()


def run(main=None, argv=None) -> None:
    """Call main with the arguments that are no options, and end the program."""
    arguments = list(sys.argv if argv is None else argv)
    rest = flags.FLAGS._parse(arguments[1:])
    main = main or sys.modules["__main__"].main
    sys.exit(main([arguments[0], *rest]))
