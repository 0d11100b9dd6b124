"""torch.save and torch.load: what comes back, PyTorch's files, and files that are not good."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import gemel.torch as torch
from gemel.torch import nn


def _value():
    model = nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "large": [2**40, -5, 70000, 2**100],
        "view": torch.arange(6).reshape(2, 3).t(),
        "parameter": model.weight,
        "truths": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "single": torch.tensor(2.5, dtype=torch.float64),
        "plain": [1, 2.5, None, "x\u00e9", b"ab\xff", (1,), (), True],
        "size": torch.Size([1, 2]),
        "dtype": torch.int32,
        "device": torch.device("cpu"),
        "set": {1, 2},
        "ordered": OrderedDict(a=1),
        "counter": Counter("aab"),
    }


def _there_and_back(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file)


def _same(a, b) -> bool:
    if hasattr(a, "detach"):
        same = str(a.dtype) == str(b.dtype) and a.tolist() == b.tolist()
        return same and a.requires_grad == b.requires_grad and a.stride() == b.stride()
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b or str(a) == str(b)  # dtypes and devices of two libraries


def test_values_come_back():
    value = _value()
    back = _there_and_back(value)
    assert _same(value, {k: back[k] for k in value})
    assert type(back["parameter"]) is nn.Parameter
    assert back["model"]._metadata == value["model"]._metadata
    assert type(back["counter"]) is Counter


def test_a_path_and_the_file_name_in_it(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "weights/data.pkl"
        for info in archive.infolist():
            if "/data/" in info.filename:
                head = info.header_offset + 30 + len(info.filename) + len(info.extra)
                assert head % 64 == 0
    assert list(torch.load(str(path))) == ["weight", "bias"]


def test_tensors_over_one_storage_share_it_again():
    x = torch.zeros(2, 3)
    back = _there_and_back({"x": x, "row": x[1], "same": x})
    assert back["x"] is back["same"]
    back["row"].fill_(7)
    assert back["x"].tolist() == [[0, 0, 0], [7, 7, 7]]


def test_a_model_and_its_optimizer_go_on(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def step(m, o):
        o.zero_grad()
        m(torch.ones(1, 2)).pow(2).sum().backward()
        o.step()

    for _ in range(3):
        step(model, optimizer)
    torch.save({"m": model.state_dict(), "o": optimizer.state_dict()}, tmp_path / "a.pt")
    other = nn.Linear(2, 3)
    again = torch.optim.Adam(other.parameters())
    saved = torch.load(tmp_path / "a.pt", map_location="cpu", weights_only=True)
    other.load_state_dict(saved["m"])
    again.load_state_dict(saved["o"])
    step(model, optimizer)
    step(other, again)
    assert torch.equal(model.weight, other.weight)


@pytest.mark.oracle
def test_pytorch_reads_our_files(tmp_path):
    original = pytest.importorskip("torch")
    value = _value()
    torch.save(value, tmp_path / "ours.pt")
    back = original.load(tmp_path / "ours.pt", weights_only=True)
    assert _same(value, {k: back[k] for k in value})


@pytest.mark.oracle
def test_we_read_pytorchs_files(tmp_path):
    original = pytest.importorskip("torch")
    torch.save(_value(), tmp_path / "ours.pt")
    value = original.load(tmp_path / "ours.pt", weights_only=True)
    original.save(value, tmp_path / "theirs.pt")
    back = torch.load(tmp_path / "theirs.pt")
    assert _same(value, back)
    original.save(value, tmp_path / "theirs.pt", pickle_protocol=4)
    assert _same(value, torch.load(tmp_path / "theirs.pt"))


# ---------- what is refused ----------
def _archive(pickled: bytes, **members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, data in members.items():
            archive.writestr("a/" + name.replace("_", "/"), data)
    file.seek(0)
    return file


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_loading_runs_no_code(capsys):
    with pytest.raises(pickle.UnpicklingError, match=r"data\.pkl.*at byte \d+.*print"):
        torch.load(_archive(pickle.dumps(Evil(), 2)), weights_only=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "pickled",
    [
        b"", b"\x80\x02", b"\x80\x09N.", b"\x80\x02X\xff\xff\x00\x00ab.", b"\x80\x02h\x07.",
        b"\x80\x02R.", b"\x80\x02t.", b"\x80\x02NNs.", b"\x80\x02}Nb.", b"\x80\x02K", b"\xff",
        b"\x80\x02cos\nsystem\n)R.", b"\x80\x02NQ.", b"\x80\x02(K\x01}u.",
    ],
)  # fmt: skip
def test_damaged_descriptions(pickled):
    with pytest.raises(pickle.UnpicklingError, match="at byte"):
        torch.load(_archive(pickled))


def _tensor_file(tmp_path):
    path = tmp_path / "t.pt"
    torch.save({"x": torch.arange(100.0)}, path)
    return path


def test_a_file_that_is_cut_off(tmp_path):
    path = _tensor_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RuntimeError, match=r"t\.pt.*cut off"):
        torch.load(path)


def test_a_damaged_record(tmp_path):
    path = _tensor_file(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<3f", 40, 41, 42))
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=r"t\.pt.*data/0 at byte \d+ is damaged"):
        torch.load(path)


def test_other_files(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"hello")
    with pytest.raises(RuntimeError, match="not a tensor file"):
        torch.load(path)
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(RuntimeError, match="old format"):
        torch.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "x")
    with pytest.raises(RuntimeError, match="no data.pkl"):
        torch.load(path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        torch.load(tmp_path / "nothing.pt")


def _rebuilt(size, stride, start, cells, kind="FloatStorage") -> bytes:
    """The pickle of one tensor with these numbers."""
    from gemel.torch.pickle_writer import PickleWriter

    writer = PickleWriter(None)
    writer.name("torch._utils", "_rebuild_tensor_v2")
    writer.out += b"(("
    writer.write("storage")
    writer.name("torch", kind)
    writer.write("0")
    writer.write("cpu")
    writer.write(cells)
    writer.out += b"tQ"
    for value in (start, size, stride, False):
        writer.write(value)
    writer.call("collections", "OrderedDict")
    writer.out += b"tR."
    return bytes(writer.out)


@pytest.mark.parametrize(
    "numbers", [((4,), (1,), 0, 3), ((2,), (5,), 0, 3), ((1,), (1,), -1, 3), ((-1,), (1,), 0, 3)]
)
def test_tensors_that_do_not_fit_their_storage(numbers):
    with pytest.raises(pickle.UnpicklingError, match="does not fit"):
        torch.load(_archive(_rebuilt(*numbers), data_0=bytes(12)))


def test_records_of_another_size_and_missing_ones():
    good = _rebuilt((3,), (1,), 0, 3)
    assert torch.load(_archive(good, data_0=bytes(12))).tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="12 are needed"):
        torch.load(_archive(good, data_0=bytes(8)))
    with pytest.raises(RuntimeError, match="data/0 is missing"):
        torch.load(_archive(good))
    with pytest.raises(pickle.UnpicklingError, match="QInt8Storage"):
        torch.load(_archive(_rebuilt((3,), (1,), 0, 3, "QInt8Storage"), data_0=bytes(6)))


def test_objects_are_not_saved(tmp_path):
    with pytest.raises(pickle.PicklingError, match="state_dict"):
        torch.save(nn.Linear(2, 2), tmp_path / "model.pt")


def test_other_devices_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="cuda"):
        torch.load(_tensor_file(tmp_path), map_location="cuda")


def test_changed_bytes_give_errors_of_two_classes():
    """Whatever is changed in a file: it loads, or it is a damaged file."""
    file = io.BytesIO()
    torch.save({"model": nn.Linear(3, 2).state_dict(), "x": [1, "a", None]}, file)
    good = file.getvalue()
    random = np.random.RandomState(0)
    for _ in range(300):
        data = bytearray(good)
        for place in random.randint(0, len(good), 3):
            data[place] = random.randint(256)
        try:
            torch.load(io.BytesIO(bytes(data)))
        except (RuntimeError, pickle.UnpicklingError):
            pass
