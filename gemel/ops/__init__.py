"""The vocabulary: primitives (one record each) and composites in plain Python over nodes."""

from . import complex_rules as complex_rules  # primitives look their rules up
