"""Suites that others wrote, run over Gemel: `python -m tools.conformance {opinfo,onnx,transforms}`.

Nothing of them is in the repository: they come with the packages of the `conformance` extra.
"""
