"""Products of bfloat16 values on matrix tiles: registers of 16 rows by 64 bytes, multiplied pair by
pair along k into sums of float32.
"""
