"""Loop nests: elementwise chains and reductions as passes over rows, cut into pieces."""
