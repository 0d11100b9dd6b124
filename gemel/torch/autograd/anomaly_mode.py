"""`detect_anomaly`: gradients go value by value and are looked at; the first NaN is an error that
names the operation, and a warning shows the user's line that recorded it.
"""

from __future__ import annotations

import linecache
import warnings

from gemel.tensor.backward import INSPECTORS
from gemel.tensor.state import GRADLEAF, LEAF, State

from ..tensor import Tensor
from .graph import name_of

_WARNING = (
    "Anomaly Detection has been enabled. This mode will increase the runtime and should only be "
    "enabled for debugging."
)


class _Mode:
    enabled = False
    nan = True


def is_anomaly_enabled() -> bool:
    return _Mode.enabled


def is_anomaly_check_nan_enabled() -> bool:
    return _Mode.nan


def _inspect(state: State, found: list[tuple[int, Tensor]]) -> None:
    """found: (which operand, its gradient), made by the rule of what this state made."""
    if not _Mode.nan or state.kind in (GRADLEAF, LEAF):
        return
    for place, g in found:
        if g.form.dtype.is_smooth and bool((g.detach() != g.detach()).any()):
            name = name_of(state)
            warnings.warn(
                f"Error detected in {name}. Traceback of forward call that caused the error:\n"
                + _line(state),
                stacklevel=2,
            )
            raise RuntimeError(f"Function '{name}' returned nan values in its {place}th output.")


def _line(state: State) -> str:
    if state.where is None:
        return "No forward pass information available.\n"
    file, line = state.where
    text = linecache.getline(file, line).strip()
    return f'  File "{file}", line {line}\n    {text}\n'


def _switch(enabled: bool, check_nan: bool) -> None:
    _Mode.enabled, _Mode.nan = enabled, check_nan
    if enabled and _inspect not in INSPECTORS:
        INSPECTORS.append(_inspect)
    if not enabled and _inspect in INSPECTORS:
        INSPECTORS.remove(_inspect)


class set_detect_anomaly:
    """Switch anomaly detection, at once; as a context until the end of the block."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self.before = _Mode.enabled, _Mode.nan
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error) -> None:
        _switch(*self.before)


class detect_anomaly:
    """Anomaly detection inside. check_nan: is a NaN in a gradient an error?"""

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        warnings.warn(_WARNING, stacklevel=2)

    def __enter__(self) -> None:
        self.before = _Mode.enabled, _Mode.nan
        _switch(True, self.check_nan)

    def __exit__(self, *error) -> None:
        _switch(*self.before)
