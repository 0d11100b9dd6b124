"""Contractions over windows: convolution and its gradients, in every layout.

Each strategy looks at the bounds of the operands and takes what it does well; `gathered.py` takes
the rest.
"""
