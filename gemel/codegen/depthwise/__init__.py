"""Windows over few channels at a time: depthwise convolution, one channel, and their gradients.

Nothing is packed: rows or columns of planes are read where they lie, or from a bordered copy, and
multiplied tap by tap.
"""
