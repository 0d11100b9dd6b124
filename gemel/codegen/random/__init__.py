"""Native loops of the random primitives."""
