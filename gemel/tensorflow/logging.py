"""`tf.logging` and `tf.get_logger`: the standard library's logging under TensorFlow's names."""

from __future__ import annotations

import logging as _logging

DEBUG, INFO, WARN, WARNING, ERROR, FATAL = 10, 20, 30, 30, 40, 50
_logger = _logging.getLogger("tensorflow")

debug = _logger.debug
info = _logger.info
warn = warning = _logger.warning
error = _logger.error
fatal = _logger.critical


def get_logger() -> _logging.Logger:
    return _logger


def set_verbosity(level: int) -> None:
    _logger.setLevel(level)


def get_verbosity() -> int:
    return _logger.getEffectiveLevel()
