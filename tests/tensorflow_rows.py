"""Expressions over `tf`, `np` and a few tensors, run under TensorFlow and under Gemel's face.

VALUES in eager mode; GRADIENTS of the functions' sums; ERRORS: the class that is raised, in eager
mode and, with the same text, while a graph is built (GRAPH_ERRORS).
"""

NAMES = """
a = tf.constant([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]])
b = tf.constant([[2.0, 3.0, -1.0], [1.0, -2.0, 0.5]])
p = tf.constant([[0.3, 1.2, 2.5], [0.9, 0.1, 1.7]])
v = tf.constant([1.0, -2.0, 0.5])
m = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
t = tf.reshape(tf.range(24, dtype=tf.float32), [2, 3, 4])
i = tf.constant([[7, -7, 3], [2, 0, -5]])
j = tf.constant([[2, 3, -2], [5, -4, 2]])
q = tf.constant([[True, False, True], [False, False, True]])
labels = tf.constant([2, 0])
image = tf.reshape(tf.cast(tf.range(60) * 37 % 19, tf.float32) / 4.0 - 2.0, [1, 5, 6, 2])
kernel = tf.reshape(tf.cast(tf.range(24) * 11 % 7, tf.float32) / 2.0 - 1.0, [2, 2, 2, 3])
"""

VALUES = """
a + b
a - 1
2 - a
a * v
a / b
i / j
i // j
i % j
a % b
a // b
i + 2
-a
abs(i)
a ** 2
a ** b[:1] if False else p ** b
i ** 2
2.0 ** a
a > b
a <= 0
i == j
a != b
a == 1.5
~q
q & tf.logical_not(q)
q | (a > 0)
i & j
i ^ j
a @ m
m @ a
a + np.array([1.0, 2.0, 3.0])
np.array([[1.0], [2.0]]) * a
a + [1, 2, 3]
[1, 2, 3] - v
tf.add(1, 2)
tf.add([1.0, 2.0], 3)
tf.constant([1, 2.5])
tf.constant([True, False])
tf.constant(2**40)
tf.constant(3.0, shape=[2, 2])
tf.constant([1, 2, 3, 4], shape=[2, 2], dtype=tf.float64)
tf.constant(np.arange(3))
tf.constant(np.array([1.0, 2.0]))
tf.convert_to_tensor([tf.constant(1.0), tf.constant(2.0)])
tf.convert_to_tensor([[1, 2], [3, 4]], dtype=tf.int64)
tf.zeros([2, 3])
tf.ones([2], tf.int32)
tf.fill([2, 2], 7)
tf.zeros_like(i)
tf.ones_like(a, dtype=tf.int32)
tf.eye(3)
tf.eye(2, 3, batch_shape=[2])
tf.range(5)
tf.range(2, 11, 3)
tf.range(1.0, 0.0, -0.25)
tf.range(3, dtype=tf.int64)
tf.linspace(0.0, 1.0, 5)
tf.one_hot([0, 2, -1, 5], 3)
tf.one_hot([[0, 1], [2, 0]], 3, on_value=5, off_value=-1, axis=0)
tf.shape(t)
tf.size(t)
tf.rank(t)
tf.reshape(t, [4, -1])
tf.reshape(t, [-1])
tf.expand_dims(a, 1)
tf.expand_dims(a, -1)
tf.squeeze(tf.reshape(a, [1, 2, 1, 3]))
tf.squeeze(tf.reshape(a, [1, 2, 1, 3]), axis=[0])
tf.transpose(t)
tf.transpose(t, [0, 2, 1])
tf.broadcast_to(v, [2, 3])
tf.tile(a, [2, 2])
tf.repeat(a, 2, axis=0)
tf.repeat(v, [1, 0, 2])
tf.pad(a, [[1, 0], [0, 2]])
tf.pad(a, [[0, 0], [1, 1]], constant_values=9.0)
tf.pad(a, [[0, 0], [2, 2]], mode='REFLECT')
tf.pad(a, [[1, 1], [0, 3]], mode='SYMMETRIC')
tf.concat([a, b], 0)
tf.concat([a, b], -1)
tf.stack([a, b], axis=2)
tf.stack([1, 2, 3])
tf.unstack(a, axis=1)
tf.split(t, 2, axis=2)
tf.split(a, [1, 2], axis=1)
tf.split(a, [1, -1], axis=1)
tf.reverse(a, [1])
tf.roll(v, 1, 0)
tf.roll(a, [1, -1], [0, 1])
tf.meshgrid([1, 2], [3, 4, 5])
tf.meshgrid([1, 2], [3, 4, 5], indexing='ij')
tf.gather(v, [2, 0, 0])
tf.gather(t, [[0, 2]], axis=1)
tf.gather(a, [[0, 1], [2, 2]], batch_dims=1)
tf.gather_nd(t, [[0, 1], [1, 2]])
tf.gather_nd(t, [[[0, 1, 3]], [[1, 2, 0]]])
tf.scatter_nd([[0], [2], [0]], [1.0, 2.0, 3.0], [4])
tf.tensor_scatter_nd_update(v, [[1]], [9.0])
tf.tensor_scatter_nd_add(a, [[0, 1], [1, 2]], [10.0, 20.0])
tf.where(a > 0, a, 0.0)
tf.where(q)
tf.where([True, False], [1, 2], [3, 4])
tf.boolean_mask(a, q)
tf.boolean_mask(t, [False, True])
tf.slice(t, [0, 1, 1], [2, -1, 2])
t[1]
t[:, 1]
t[..., -1]
t[0, 1:, ::2]
t[:, ::-1, 0]
t[:, tf.newaxis, 0]
t[1, 2, 3]
v[tf.constant(1)]
v[-1]
a[a > 0]
tf.identity(a)
tf.cast(a, tf.int32)
tf.cast(i, tf.float64)
tf.cast(a, bool)
tf.cast(q, tf.float32)
tf.saturate_cast(tf.constant([300.0, -5.0]), tf.uint8)
tf.abs(a)
tf.sign(a)
tf.square(i)
tf.exp(a)
tf.math.log(p)
tf.math.log1p(p)
tf.math.expm1(a)
tf.sqrt(p)
tf.math.rsqrt(p)
tf.sin(a)
tf.cos(a)
tf.tan(a)
tf.asin(v / 4)
tf.acos(v / 4)
tf.atan(a)
tf.atan2(a, b)
tf.sinh(a)
tf.cosh(a)
tf.tanh(a)
tf.asinh(a)
tf.acosh(p + 1)
tf.atanh(v / 4)
tf.sigmoid(a)
tf.math.log_sigmoid(a)
tf.math.softplus(a)
tf.nn.softsign(a)
tf.math.erf(a)
tf.math.erfc(a)
tf.math.reciprocal(a)
tf.floor(a)
tf.math.ceil(a)
tf.round(tf.constant([0.5, 1.5, -2.5, 2.4]))
tf.math.rint(a)
tf.math.is_nan(tf.constant([1.0, float('nan')]))
tf.math.is_inf(tf.constant([1.0, float('inf')]))
tf.math.is_finite(tf.constant([1.0, float('inf')]))
tf.maximum(a, b)
tf.minimum(a, 1)
tf.pow(p, b)
tf.pow(a, 3)
tf.math.divide_no_nan(a, tf.zeros([2, 3]))
tf.math.squared_difference(a, b)
tf.math.xlogy(tf.zeros([2]), [0.0, 2.0])
tf.add_n([a, b, a])
tf.clip_by_value(a, -1.0, 1.0)
tf.clip_by_norm(a, 2.0)
tf.clip_by_global_norm([a, b], 1.0)[0]
tf.linalg.global_norm([a, b]) if hasattr(tf.linalg, 'global_norm') else tf.constant(0.0)
tf.reduce_sum(a)
tf.reduce_sum(a, 0)
tf.reduce_sum(t, [0, 2], keepdims=True)
tf.reduce_sum(i, axis=-1)
tf.reduce_mean(a, 1)
tf.reduce_mean(i)
tf.reduce_prod(p, 1)
tf.reduce_max(a, 0)
tf.reduce_min(i)
tf.reduce_any(q, 1)
tf.reduce_all(q)
tf.math.reduce_variance(a, 1)
tf.math.reduce_std(a)
tf.reduce_logsumexp(a, 1)
tf.math.count_nonzero(i)
tf.argmax(a)
tf.argmax(a, 1)
tf.argmin(a, 1, output_type=tf.int32)
tf.cumsum(a, 1)
tf.cumsum(a, 0, exclusive=True)
tf.cumsum(a, 1, reverse=True)
tf.math.cumprod(p, 1)
tf.math.in_top_k([2, 0], a, 2)
tf.math.top_k(a, 2).values
tf.math.top_k(a, 2).indices
tf.math.l2_normalize(a, 1)
tf.math.confusion_matrix([0, 1, 2, 1], [0, 2, 2, 1], 3)
tf.matmul(a, m)
tf.matmul(a, b, transpose_b=True)
tf.matmul(a, b, transpose_a=True)
tf.matmul(t, tf.transpose(t, [0, 2, 1]))
tf.matmul(i, i, transpose_b=True)
tf.linalg.matvec(a, v)
tf.tensordot(t, tf.ones([4, 2]), 1)
tf.tensordot(t, t, [[0, 1], [0, 1]])
tf.einsum('ij,jk->ik', a, m)
tf.einsum('bij->bji', t)
tf.einsum('bij,bij->b', t, t)
tf.einsum('...ij,jk->...ik', t, tf.ones([4, 2]))
tf.norm(a)
tf.norm(a, ord=1, axis=1)
tf.norm(a, ord=np.inf)
tf.linalg.diag(v)
tf.linalg.diag_part(tf.matmul(a, m))
tf.linalg.trace(tf.matmul(a, m))
tf.linalg.band_part(tf.ones([3, 3]), 0, -1)
tf.nn.relu(a)
tf.nn.relu6(a * 3)
tf.nn.elu(a)
tf.nn.selu(a)
tf.nn.gelu(a)
tf.nn.silu(a)
tf.nn.leaky_relu(a)
tf.nn.softmax(a)
tf.nn.softmax(t, axis=1)
tf.nn.log_softmax(a)
tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(b), logits=a)
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=a)
tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(q, tf.float32), logits=a)
tf.nn.weighted_cross_entropy_with_logits(tf.cast(q, tf.float32), a, 2.0)
tf.nn.l2_loss(a)
tf.nn.bias_add(a, v)
tf.nn.dropout(a, 0.0)
tf.nn.embedding_lookup(m, [2, 0])
tf.nn.moments(a, [0])
tf.nn.batch_normalization(a, v, p[0], v, p[1], 1e-3)
tf.nn.zero_fraction(tf.constant([0.0, 1.0, 0.0]))
tf.nn.conv2d(image, kernel, 1, 'SAME')
tf.nn.conv2d(image, kernel, 2, 'VALID')
tf.nn.conv2d(image, kernel, [1, 2, 1, 1], 'SAME')
tf.nn.conv2d(image, kernel, 1, 'VALID', dilations=2)
tf.nn.conv2d(image, kernel, 1, [[0, 0], [1, 0], [0, 2], [0, 0]])
tf.nn.conv1d(image[0], kernel[0], 1, 'SAME')
tf.nn.max_pool2d(image, 2, 2, 'VALID')
tf.nn.max_pool2d(image, 3, 2, 'SAME')
tf.nn.avg_pool2d(image, 3, 2, 'SAME')
tf.nn.avg_pool2d(image, [1, 2, 3, 1], [1, 1, 2, 1], 'VALID')
tf.sort(a, direction='DESCENDING')
tf.sort(i, axis=0)
tf.argsort(a)
tf.argsort([2, 1, 2, 1], direction='DESCENDING', stable=True)
tf.math.unsorted_segment_sum(m, [1, 0, 1], 3)
tf.sequence_mask([1, 3, 0], 4)
tf.sequence_mask([1, 3], 3, dtype=tf.float32)
tf.map_fn(lambda r: tf.reduce_sum(r) * 2.0, a)
tf.scan(lambda x, y: x + y, v)
tf.foldl(lambda x, y: x * y, v)
tf.math.softmax(a)
tf.math.scalar_mul(2.0, a)
tf.math.reduce_euclidean_norm(a, 1)
tf.math.reciprocal_no_nan(tf.constant([2.0, 0.0]))
tf.bitwise.invert(i)
tf.bitwise.bitwise_and(i, j)
tf.ensure_shape(a, [2, None])
tf.cond(tf.constant(True), lambda: a, lambda: b)
tf.while_loop(lambda k: k < 10, lambda k: [k * 2], [tf.constant(1)])
tf.is_tensor(a), tf.is_tensor(3)
repr(a)
repr(tf.constant(1.5))
repr(i)
repr(tf.constant([True, False]))
str(a)
str(tf.constant(3))
repr(a.shape)
repr(tf.TensorShape([None, 3])), str(tf.TensorShape([None, 3])), str(tf.TensorShape(None))
repr(tf.float32), str(tf.int64), tf.float32.name
tf.as_dtype('float64').name, tf.int32 == 'int32', tf.float32.is_floating
repr(tf.Variable([1.0, 2.0], name='w'))
repr(tf.Variable(3))
tf.random.stateless_uniform([4], [3, 5])
tf.random.stateless_normal([5], [3, 5])
tf.random.stateless_uniform([4], [1, 2], 0, 10, tf.int32)
tf.random.stateless_truncated_normal([5], [7, 8])
[tf.random.set_seed(5), tf.random.normal([3]), tf.random.uniform([2], maxval=10, dtype=tf.int32)]
[tf.random.set_seed(5), tf.random.normal([2], seed=1), tf.random.normal([2], seed=1)]
[tf.random.set_seed(9), tf.random.shuffle(tf.range(8)), tf.random.truncated_normal([2, 2])]
[tf.random.set_seed(9), tf.nn.dropout(tf.ones([6]), 0.5)]
""".strip().splitlines()

GRADIENTS = """
a * b
a / b
a - v
p ** b
a ** 3
a @ m
tf.exp(a)
tf.math.log(p)
tf.sqrt(p)
tf.math.rsqrt(p)
tf.tanh(a)
tf.sigmoid(a)
tf.math.softplus(a)
tf.math.erf(a)
tf.sin(a) * tf.cos(b)
tf.atan2(a, b)
tf.maximum(a, b)
tf.minimum(a, v)
tf.abs(a)
tf.square(a)
tf.nn.relu(a)
tf.nn.elu(a)
tf.nn.selu(a)
tf.nn.gelu(a)
tf.nn.silu(a)
tf.nn.leaky_relu(a)
tf.nn.softmax(a)
tf.nn.log_softmax(a)
tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(b), logits=a)
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=a)
tf.nn.sigmoid_cross_entropy_with_logits(labels=p, logits=a)
tf.reduce_mean(a, 0)
tf.reduce_max(a, 1)
tf.reduce_prod(p, 1)
tf.reduce_logsumexp(a)
tf.math.reduce_std(a)
tf.norm(a)
tf.clip_by_value(a, -1.0, 1.0)
tf.clip_by_norm(a, 2.0)
tf.where(a > 0, a * 2.0, b)
tf.gather(v, [2, 0, 0])
tf.gather_nd(a, [[0, 1], [1, 2]])
tf.concat([a, b * 2.0], 0)
tf.stack([a, b]) * t[:, :2, :3]
tf.split(a, 3, axis=1)[1]
tf.transpose(a) @ b
tf.reshape(a, [3, 2]) * m
tf.tile(v, [2])
tf.pad(a, [[1, 1], [0, 0]])
tf.cumsum(a, 1)
a[:, 1:] * 2.0
tf.einsum('ij,kj->ik', a, b)
tf.nn.moments(a, [0])[1]
tf.stop_gradient(a) * b
tf.math.divide_no_nan(a, b)
tf.math.squared_difference(a, b)
tf.math.l2_normalize(a, 1)
tf.sort(a) * b
tf.math.unsorted_segment_sum(m, [1, 0, 1], 3)
tf.nn.conv2d(image * v[0], kernel * v[2], 1, 'SAME')
tf.nn.conv2d(image * v[0], kernel * v[2], 2, 'VALID')
tf.nn.max_pool2d(image * v[0], 2, 1, 'SAME')
tf.nn.avg_pool2d(image * v[0], 3, 2, 'SAME')
""".strip().splitlines()

ERRORS = """
tf.constant([1, 2]) + tf.constant([1.0, 2.0])
tf.constant([1, 2]) + 1.5
tf.constant([1.0, 2.0]) + tf.constant([1.0, 2.0, 3.0])
tf.matmul(tf.ones([2, 3]), tf.ones([2, 3]))
tf.matmul(tf.ones([3]), tf.ones([2, 3]))
tf.matmul(tf.ones([2, 3]), tf.ones([3, 2], tf.float64))
tf.exp(tf.constant([1]))
tf.reshape(tf.ones([2, 3]), [4, 2])
tf.reshape(tf.ones([2, 3]), [4, -1])
tf.concat([tf.ones([2, 3]), tf.ones([2, 2])], 0)
tf.stack([tf.ones([2, 3]), tf.ones([2, 2])])
tf.ones([3])[5]
tf.ones([3])[1, 2]
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([1, 2]), logits=tf.ones([1, 9]))
tf.nn.softmax_cross_entropy_with_logits(labels=tf.ones([2, 9]), logits=tf.ones([2, 10]))
tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones([2, 9]), logits=tf.ones([2, 10]))
tf.reduce_sum(tf.ones([2, 3]), axis=2)
tf.argmax(tf.ones([2, 3]), axis=2)
tf.squeeze(tf.ones([2, 3]), 0)
tf.transpose(tf.ones([2, 3]), [0, 0])
tf.constant([1.5], dtype=tf.int32)
tf.constant([[1, 2], [3]])
tf.convert_to_tensor(tf.ones([2]), dtype=tf.int32)
tf.ones([2]) & tf.ones([2])
tf.expand_dims(tf.ones([2]), 5)
tf.tile(tf.ones([2]), [2, 2])
tf.pad(tf.ones([2]), [[1, 1], [1, 1]])
tf.broadcast_to(tf.ones([2]), [3])
tf.split(tf.ones([5]), 2)
tf.ones([2]) + None
len(tf.constant(1))
list(tf.constant(1))
hash(tf.ones([2])) if tf.executing_eagerly() else len(tf.ones([2]))
tf.ensure_shape(tf.ones([2]), [3])
tf.Variable()
tf.Variable([1.0, 2.0]).assign([1.0, 2.0, 3.0])
tf.Variable([1.0, 2.0]).assign(tf.constant([1, 2]))
tf.logical_and(tf.ones([2]), tf.ones([2]))
tf.where(tf.ones([2]), 1.0, 2.0)
tf.nn.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([2, 2, 3, 1]), 1, 'VALID')
tf.no_such_name
""".strip().splitlines()

# looked at when they are run, in eager mode
RUN_ERRORS = """
tf.gather(tf.ones([3]), [5])
tf.constant([7]) // tf.constant([0])
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[11, 0], logits=tf.ones([2, 10]))
bool(tf.ones([2]) > 0)
int(tf.ones([2]))
tf.ones([2]).graph
tf.debugging.assert_equal(tf.constant(1), tf.constant(2))
tf.compat.v1.placeholder(tf.float32)
tf.compat.v1.Session().run(tf.constant(1))
tf.gradients(tf.constant(1.0), tf.constant(1.0))
tf.constant([2]) ** -1
""".strip().splitlines()
