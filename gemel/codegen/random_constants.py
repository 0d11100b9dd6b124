"""Numbers that define the random word generators, for their references and their kernels."""

# MT19937 (Matsumoto and Nishimura 1998)
TWISTER_SIZE = 624
TWISTER_DISTANCE = 397
TWISTER_MATRIX = 0x9908B0DF
TWISTER_SEED_FACTOR = 1812433253
# the words of the algorithm, then how many are used up
STATE_WORDS = TWISTER_SIZE + 1

# Philox 4x32 (Salmon, Moraes, Dror and Shaw 2011)
PHILOX_ROUNDS = 10
PHILOX_FACTORS = (0xD2511F53, 0xCD9E8D57)
PHILOX_STEPS = (0x9E3779B9, 0xBB67AE85)
# key, counter
PHILOX_WORDS = 6
# TensorFlow sets this many counters aside for each value of a group of truncated normals, over 4
TRUNCATED_RESERVE = 256
