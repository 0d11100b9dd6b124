"""Attention block by block: scores live in registers and the caches, never as a matrix in memory.

FlashAttention (Dao et al. 2022): queries are taken in blocks, keys in blocks within; a running
maximum and a running sum make the softmax. What the backward pass keeps is one logarithm a query.
"""
