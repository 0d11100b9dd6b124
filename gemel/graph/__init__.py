"""The tensor graph: forms, nodes, walk, printer, verifier."""
