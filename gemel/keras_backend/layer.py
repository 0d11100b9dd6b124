"""What this backend adds to Keras's `Layer`: nothing."""


class GemelLayer:
    """The mixin that Keras asks each backend for."""
