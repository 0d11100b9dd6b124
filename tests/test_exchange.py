"""Values shared with NumPy, buffers, DLPack and the other face; copies and pickles."""

import copy
import pickle
from operator import is_

import numpy as np
import pytest

import gemel.tensorflow as tf
import gemel.torch as torch
from gemel.tensor import record, recorder


@pytest.mark.parametrize("take", (torch.from_numpy, torch.as_tensor, torch.from_dlpack))
@pytest.mark.parametrize("part", (np.s_[:], np.s_[::2], np.s_[:, 1:3], np.s_[1]))
def test_arrays_share_their_memory(take, part):
    array = np.arange(24.0).reshape(4, 6)
    t = take(array[part])
    assert t.tolist() == array[part].tolist()
    array[part] += 1
    assert t.tolist() == array[part].tolist()
    t.mul_(2)
    assert array[part].tolist() == t.tolist()


def test_transposed_arrays_keep_their_strides():
    t = torch.from_numpy(np.arange(6.0).reshape(2, 3).T)
    assert t.stride() == (1, 3)


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16", "complex64", "bool", "uint8"))
def test_dlpack_there_and_back(dtype):
    t = torch.ones(2, 3, dtype=getattr(torch, dtype))
    back = torch.from_dlpack(t)
    assert back.dtype is t.dtype
    back[0, 0] = 0
    assert not t[0, 0].item()
    capsule = torch.utils.dlpack.to_dlpack(t.t())
    assert torch.utils.dlpack.from_dlpack(capsule).shape == (3, 2)
    with pytest.raises(RuntimeError, match="consumed only once"):
        torch.from_dlpack(capsule)


def test_dlpack_refuses_what_it_cannot_give():
    with pytest.raises(BufferError, match="require gradient"):
        torch.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(AssertionError, match="stream"):
        torch.ones(2).__dlpack__(stream=5)
    with pytest.raises(BufferError, match="device"):
        torch.ones(2).__dlpack__(dl_device=(2, 0))
    t = torch.ones(2)
    np.from_dlpack(t, copy=True)
    assert np.from_dlpack(t).tolist() == [1, 1]


def test_buffers():
    data = bytearray(8)
    t = torch.frombuffer(data, dtype=torch.int32)
    t[1] = 3
    assert data[4] == 3
    assert torch.frombuffer(data, dtype=torch.uint8, offset=4, count=1).tolist() == [3]
    for bad in ({"offset": 9}, {"offset": 1}, {"count": 3}, {"count": 0}):
        with pytest.raises(ValueError, match="buffer length"):
            torch.frombuffer(data, dtype=torch.int32, **bad)


def test_asarray_copies_when_asked():
    array = np.zeros(2)
    torch.asarray(array, copy=True)[0] = 1
    assert array.tolist() == [0, 0]
    torch.asarray(array)[0] = 1
    assert array.tolist() == [1, 0]
    with pytest.raises(ValueError, match="can't alias"):
        torch.asarray(array, dtype=torch.float32, copy=False)


@pytest.mark.parametrize("way", (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))))
def test_what_shares_a_storage_shares_the_copy(way):
    x = torch.arange(6.0)
    a, b, c = way([x, x[2:4], x.view(2, 3).t()])
    a[2] = 9
    assert b.tolist() == [9, 3]
    assert c.stride() == (1, 3)
    assert x[2] == 2


def test_copies_keep_what_belongs_to_a_tensor():
    x = torch.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    x.mark = "kept"
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad
        assert other.mark == "kept"
    assert copy.deepcopy(x).grad.tolist() == [2, 2]
    assert copy.copy(x).data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_modules_are_copied_with_what_they_share():
    m = torch.nn.Linear(2, 2)
    m.again = m.weight
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert other.again is other.weight
        assert torch.equal(other.weight, m.weight)
        with torch.no_grad():
            other.weight.zero_()
        assert m.weight.abs().sum() > 0


def test_tensors_of_the_other_face():
    there = tf.constant([1.0, 2.0])
    here = torch.as_tensor(there)
    assert isinstance(here, torch.Tensor)
    here[0] = 5
    assert there.numpy().tolist() == [1, 2]
    assert torch.as_tensor(tf.Variable([3.0])).tolist() == [3]
    assert tf.convert_to_tensor(here).numpy().tolist() == [5, 2]
    assert np.from_dlpack(there).tolist() == [1, 2]
    capsule = tf.experimental.dlpack.to_dlpack(there)
    assert tf.experimental.dlpack.from_dlpack(capsule).numpy().tolist() == [1, 2]


def test_gradients_flow_from_face_to_face():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    torch.as_tensor(tf.square(tf.convert_to_tensor(x * 3))).sum().backward()
    assert x.grad.tolist() == [18, 36]
    v = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(v)
        y = tf.reduce_sum(tf.convert_to_tensor(torch.as_tensor(v) * 3) ** 2)
    assert tape.gradient(y, v).numpy().tolist() == [18, 36]


@pytest.mark.parametrize("native", [False, True])
def test_what_an_array_holds_is_copied_once(native, monkeypatch):
    """A batch over an array's memory is read again without a copy, as long as it is the same."""
    recorder.prepare()
    if not native:
        monkeypatch.setattr(recorder, "RECORD", [])
        monkeypatch.setattr(record, "RECORD", [])
    whole = np.arange(64, dtype=np.float32).reshape(4, 16)
    batches = [torch.from_numpy(row) for row in whole]
    weight = torch.ones(16)
    before: list = []
    for _ in range(4):
        for k, x in enumerate(batches):
            y = x * weight
            whole[k] += 1.0  # after it was read
            assert y.tolist() == (whole[k] - 1.0).tolist()
            whole[k] -= 1.0
        copies = [x.st.twin for x in batches]
        assert all(map(is_, copies, before))
        before = copies
    whole[2] = 7.0
    assert (batches[2] * weight).tolist() == [7.0] * 16
    assert batches[2].st.twin is not before[2] and batches[1].st.twin is before[1]
    del whole
    assert (batches[2] * weight).sum().item() == 7.0 * 16
