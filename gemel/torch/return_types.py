"""Named results of operations that give several tensors: `torch.return_types.max` and others."""

from __future__ import annotations

from collections import namedtuple


def _named(name: str, *fields: str):
    def shown(self) -> str:
        rows = ",\n".join(f"{f}={v!r}" for f, v in zip(self._fields, self, strict=True))
        return f"torch.return_types.{name}(\n{rows})"

    made = namedtuple(name, fields)
    made.__repr__ = shown
    made.__module__ = __name__
    return made


max = _named("max", "values", "indices")
min = _named("min", "values", "indices")
median = _named("median", "values", "indices")
sort = _named("sort", "values", "indices")
topk = _named("topk", "values", "indices")
kthvalue = _named("kthvalue", "values", "indices")
aminmax = _named("aminmax", "min", "max")
cummax = _named("cummax", "values", "indices")
cummin = _named("cummin", "values", "indices")
mode = _named("mode", "values", "indices")
