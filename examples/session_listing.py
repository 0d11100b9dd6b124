import tensorflow as tf

# 创建张量
a = tf.constant([[1, 2], [3, 4]])
b = tf.constant([[5, 6], [7, 8]])

# 创建图
graph = tf.Graph()

# 定义操作
with graph.as_default():
    c = tf.matmul(a, b)

# 创建Session
with tf.Session(graph=graph) as sess:
    # 执行操作
    result = sess.run(c)
    print(result)
