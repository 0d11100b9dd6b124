"""Contractions without windows: matrix products in every layout, batched and long ones.

The generator that `strategy.py` asks when no operand has bounds; its tiles, packing and epilogues
serve the windows too.
"""
