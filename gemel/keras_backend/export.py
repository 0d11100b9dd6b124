"""The part of Keras that exports SavedModels, which Gemel does not write."""

from __future__ import annotations

REASON = (
    "Gemel does not write SavedModel exports; save the model as a .keras file: "
    "model.save('model.keras')"
)


class GemelExportArchive:
    """Stands where Keras asks for an exporter; each use is NotImplementedError."""

    def track(self, resource):
        raise NotImplementedError(REASON)

    def add_endpoint(self, name, fn, input_signature=None, **kwargs):
        raise NotImplementedError(REASON)
