import tensorflow.compat.v1 as tf

# 创建图
graph = tf.Graph()

# 定义操作
with graph.as_default():
    a = tf.constant([[1, 2], [3, 4]])
    b = tf.constant([[5, 6], [7, 8]])
    c = tf.matmul(a, b)

# 创建Session
with tf.Session(graph=graph) as sess:
    # 执行操作
    result = sess.run(c)
    print(result)
