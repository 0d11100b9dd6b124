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
# the key that TensorFlow scrambles the seeds of stateless operations with
SCRAMBLE_KEY = (0x3EC8F720, 0x02461E29)
# TensorFlow sets this many counters aside for each value of a group of truncated normals, over 4
TRUNCATED_RESERVE = 256
# and this many for each gamma sample
GAMMA_RESERVE = 256

# Cephes' single-precision logarithm, sine and cosine (S. Moshier), highest power first
CEPHES_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
LN2_PARTS = (-2.12194440e-4, 0.693359375)
SQRT_HALF = 0.707106781186547524
CEPHES_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
CEPHES_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
# pi/4 in three pieces, negative
QUARTER_PI_PARTS = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
FOUR_OVER_PI = 1.27323954473516
# PyTorch's normals come in blocks: 8 uniforms for radii, 8 for angles
NORMAL_BLOCK = 16
