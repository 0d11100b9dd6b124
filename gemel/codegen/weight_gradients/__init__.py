"""Gradients of the weights of windows: few results, each a sum over all positions of a batch.

Images are read in place or from a bordered copy; sums of shares of the positions are added last.
"""
