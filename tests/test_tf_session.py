"""Sessions: fetches, feeds, order, what is copied, how many programs there are."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from tensorflow_compare import fresh_graph

import gemel.tensorflow as tf


def _programs(session) -> int:
    return sum(len(plan._steps) for plan in set(session._plans.values()))


def test_one_program_for_each_fetch_and_shape():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(tf.float32, [None, 2])
        y = v1.reduce_sum(x * x)
        for n in (3, 3, 4, 3):
            session.run(y, {x: np.ones((n, 2))})
        assert _programs(session) == 2
        session.run([y], {x: np.ones((3, 2))})
        session.run([y], {x: np.ones((3, 2))})
        assert _programs(session) == 3


def test_a_whole_training_step_is_one_program_with_few_kernels():
    with fresh_graph(tf) as (v1, session):
        x, y = v1.placeholder(tf.float32, [None, 64]), v1.placeholder(tf.int64, [None])
        logits = x
        for a, b in ((64, 64), (64, 10)):
            w = v1.Variable(np.zeros((a, b), np.float32))
            logits = v1.matmul(logits if a == b else v1.nn.relu(logits), w)
            logits = logits + v1.Variable(np.zeros(b, np.float32))
        each = v1.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        step = v1.train.AdamOptimizer().minimize(v1.reduce_mean(each))
        session.run(v1.global_variables_initializer())
        session.run(step, {x: np.ones((32, 64)), y: np.zeros(32)})
        plan = list(session._plans.values())[-1]
        (made,) = plan._steps.values()
        kernels = made.program.kernels
        if kernels:  # the reference device has none
            assert len(kernels) <= 12


def test_a_step_reads_before_it_writes():
    with fresh_graph(tf) as (v1, session):
        w = v1.Variable(1.0)
        step = w.assign_add(1.0)
        read = w * 10.0
        session.run(w.initializer)
        assert session.run([step, read]) == [2.0, 10.0]
        assert session.run([read, step]) == [20.0, 3.0]


def test_fed_arrays_are_copied():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(tf.float32, [2])
        w = v1.Variable([0.0, 0.0])
        session.run(w.initializer)
        given = np.ones(2, np.float32)
        session.run(w.assign(x), {x: given})
        given[:] = 7.0
        assert session.run(w).tolist() == [1.0, 1.0]
        out = session.run(x, {x: given})
        session.run(x, {x: np.zeros(2)})
        assert out.tolist() == [7.0, 7.0]


def test_a_failed_run_changes_nothing():
    with fresh_graph(tf) as (v1, session):
        w = v1.Variable([1.0, 2.0])
        index = v1.placeholder(tf.int32, [])
        picked = v1.gather(w, index)
        step = w.assign(w * picked)
        session.run(w.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"test_tf_session\.py:\d+"):
            session.run(step, {index: 9})
        assert session.run(w).tolist() == [1.0, 2.0]


def test_an_unfed_placeholder_is_named_with_its_line():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(tf.float32, [None, 3], name="images")
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(x + 1.0)
        assert "'images'" in str(caught.value)
        assert "test_tf_session.py" in str(caught.value)


def test_an_uninitialised_variable_is_named():
    with fresh_graph(tf) as (v1, session):
        w = v1.Variable(1.0, name="weights")
        with pytest.raises(tf.errors.FailedPreconditionError, match="weights"):
            session.run(w * 2.0)
        assert not session.run(v1.is_variable_initialized(w))


def test_interactive_session_is_the_default():
    with tf.Graph().as_default():
        session = tf.InteractiveSession()
        assert tf.constant(2.0).eval() == 2.0
        session.close()
        assert tf.get_default_session() is None


def test_sessions_leave_nothing_behind():
    gc.collect()
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(tf.float32, [8])
        w = v1.Variable(np.zeros(8, np.float32))
        step = w.assign_add(x)
        session.run(w.initializer)
        feed = {x: np.ones(8, np.float32)}
        for _ in range(50):
            session.run([step], feed)
        before = len(gc.get_objects())
        for _ in range(200):
            session.run([step], feed)
        assert len(gc.get_objects()) - before < 20


def test_threads_share_a_session():
    with fresh_graph(tf) as (v1, session):
        x = v1.placeholder(tf.float32, [64])
        y = v1.reduce_sum(x) * 2.0
        session.run(y, {x: np.zeros(64)})
        wrong = []

        def work(n):
            for _ in range(100):
                if session.run(y, {x: np.full(64, n)}) != 128.0 * n:
                    wrong.append(n)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert wrong == []


def test_saver_restores(tmp_path):
    with fresh_graph(tf) as (v1, session):
        w = v1.get_variable("layer/w", [3])
        saver = v1.train.Saver()
        session.run(v1.global_variables_initializer())
        kept = session.run(w)
        path = saver.save(session, str(tmp_path / "model"), global_step=5)
        session.run(w.assign(w * 0.0))
        assert v1.train.latest_checkpoint(str(tmp_path)) == path
        saver.restore(session, path)
        assert session.run(w).tolist() == kept.tolist()
        with pytest.raises(ValueError, match="not a valid checkpoint"):
            saver.restore(session, str(tmp_path / "other"))
