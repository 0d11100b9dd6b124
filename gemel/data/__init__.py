"""Data that ships with Gemel. Each set has a module of its own, with its source and licence."""
