"""Data sets, samplers and loaders: contents and order."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from torch_compare import kind, raised

Point = namedtuple("Point", "x y")


def _data(torch):
    return torch.utils.data


def _pairs(torch, n: int = 11):
    x = torch.arange(n * 3, dtype=torch.float32).reshape(n, 3)
    return _data(torch).TensorDataset(x, torch.arange(n))


def _order(loader):
    return [batch[1].tolist() for batch in loader]


def case_order(torch):
    D = _data(torch)
    found = []
    for options in (
        {}, {"shuffle": True}, {"batch_size": 4}, {"batch_size": 4, "shuffle": True},
        {"batch_size": 4, "shuffle": True, "drop_last": True}, {"batch_size": 20},
    ):  # fmt: skip
        torch.manual_seed(7)
        loader = D.DataLoader(_pairs(torch), **options)
        found.append([_order(loader), _order(loader), len(loader), torch.rand(1).item()])
    return found


def case_generators(torch):
    D = _data(torch)
    own = torch.Generator().manual_seed(5)
    loader = D.DataLoader(_pairs(torch), 3, shuffle=True, generator=own)
    torch.manual_seed(1)
    found = [_order(loader), _order(loader), torch.rand(1).item()]
    sampler = D.RandomSampler(_pairs(torch), generator=torch.Generator().manual_seed(2))
    found.append(list(sampler))
    found.append(_order(D.DataLoader(_pairs(torch), 4, sampler=sampler)))
    return found


def case_samplers(torch):
    D = _data(torch)
    data = _pairs(torch)
    torch.manual_seed(3)
    found = [
        list(D.SequentialSampler(data)),
        list(D.RandomSampler(data)),
        list(D.RandomSampler(data, replacement=True)),
        list(D.RandomSampler(data, replacement=True, num_samples=70)),
        list(D.RandomSampler(data, num_samples=25)),
        list(D.SubsetRandomSampler([4, 7, 9, 2])),
        list(D.WeightedRandomSampler([0.1, 5.0, 1.0, 0.0, 2.0], 12)),
        list(D.BatchSampler(D.SequentialSampler(range(7)), 3, False)),
        list(D.BatchSampler(D.RandomSampler(range(7)), 3, True)),
        _order(D.DataLoader(data, 4, sampler=D.SubsetRandomSampler([1, 5, 6, 8, 10]))),
        _order(D.DataLoader(data, batch_sampler=[[1, 2], [0], [-1, 5]])),
        _order(D.DataLoader(data, 2, sampler=[3, 1, 2])),
    ]
    return found + [len(D.RandomSampler(data, num_samples=25)), torch.rand(1).item()]


def case_splits(torch):
    D = _data(torch)
    torch.manual_seed(4)
    found = []
    for lengths in ([7, 4], [0.5, 0.5], [0.3, 0.3, 0.4]):
        parts = D.random_split(_pairs(torch), lengths)
        found.append([list(p.indices) for p in parts])
        found.append([len(p) for p in parts])
    parts = D.random_split(_pairs(torch), [6, 5], generator=torch.Generator().manual_seed(9))
    found.append(_order(D.DataLoader(parts[0], 4, shuffle=True)))
    found.append(_order(D.DataLoader(D.Subset(parts[1], [0, 2]), 4)))
    return found + [torch.rand(1).item()]


def case_data_sets(torch):
    D = _data(torch)
    a, b = _pairs(torch, 4), _pairs(torch, 3)
    both = a + b
    stacked = D.StackDataset(a, range(4))
    return [
        len(both), [both[i][1].item() for i in range(7)], both[-1][0], len(stacked),
        stacked[2][1], D.StackDataset(x=a, y=range(4))[1]["y"], a[1:3], a[-1],
        _order(D.DataLoader(both, 3)), len(D.Subset(a, [1, 2])), D.Subset(a, [3, 0])[1][1].item(),
    ]  # fmt: skip


class Numbers:
    def __init__(self, values):
        self.values = values

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)


def case_collation(torch):
    D = _data(torch)
    found = []
    for values in (
        [1, 2, 3],
        [0.5, 1.5, 2.5],
        [True, False, True],
        ["a", "b", "c"],
        [(1, 2.0), (3, 4.0), (5, 6.0)],
        [{"x": 1, "y": [1.0, 2.0]}, {"x": 2, "y": [3.0, 4.0]}, {"x": 3, "y": [5.0, 6.0]}],
        [np.arange(2), np.arange(2) + 1, np.arange(2) + 2],
        [np.float32(1), np.float32(2), np.float32(3)],
        [torch.ones(2), torch.zeros(2), torch.ones(2)],
        [Point(1, 2), Point(3, 4), Point(5, 6)],
        [torch.tensor(3), torch.tensor(4), torch.tensor(5)],
        [torch.arange(6).reshape(2, 3).t(), torch.zeros(3, 2).long(), torch.ones(3, 2).long()],
    ):
        batches = list(D.DataLoader(Numbers(values), 2))
        found.append(batches)
        found.append(str(getattr(batches[0], "dtype", type(batches[0]).__name__)))
    found.append(list(D.DataLoader(Numbers([1, 2, 3]), 2, collate_fn=sum)))
    found.append(list(D.DataLoader(Numbers([1, 2, 3]), batch_size=None)))
    found.append(D.default_collate([1, 2]))
    found.append(D.default_convert([np.arange(2), "x"]))
    return found


def case_streams(torch):
    D = _data(torch)

    class Stream(D.IterableDataset):
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return iter(range(self.n))

    chained = D.ChainDataset([Stream(3), Stream(2)])
    return [
        list(D.DataLoader(Stream(7), 3)),
        list(D.DataLoader(Stream(7), 3, drop_last=True)),
        list(D.DataLoader(Stream(3), batch_size=None)),
        list(D.DataLoader(chained, 2)),
        list(D.DataLoader(Stream(3) + Stream(1), 2)),
        kind(lambda: len(D.DataLoader(Stream(3), 3))),
    ]


def case_changed_tensors(torch):
    """What is in the tensors when the pass runs is what comes out."""
    x = torch.zeros(4, 2)
    loader = _data(torch).DataLoader(_data(torch).TensorDataset(x), 2)
    found = [[b[0].tolist() for b in loader]]
    x.add_(1)
    found.append([b[0].tolist() for b in loader])
    x[1] = 5
    first = next(iter(loader))[0]
    first.mul_(10)
    return [*found, first, x]


def case_views_and_types(torch):
    D = _data(torch)
    x = torch.arange(24).reshape(2, 3, 4)
    found = []
    for t in (x.transpose(0, 1), x[:, 1:], x.reshape(6, 4)[::2], torch.tensor([True, False, True])):
        found.append([b[0].tolist() for b in D.DataLoader(D.TensorDataset(t), 2)])
    grad = torch.ones(3, 2, requires_grad=True)
    found.append([b[0].requires_grad for b in D.DataLoader(D.TensorDataset(grad), 2)])
    return found


def case_errors(torch):
    D = _data(torch)
    data = _pairs(torch)
    calls = [
        lambda: D.TensorDataset(torch.zeros(2), torch.zeros(3)),
        lambda: D.DataLoader(data, 0),
        lambda: D.DataLoader(data, -1),
        lambda: D.DataLoader(data, 2.5),
        lambda: D.DataLoader(data, shuffle=True, sampler=[1]),
        lambda: D.DataLoader(data, batch_sampler=[[1]], batch_size=3),
        lambda: D.DataLoader(data, batch_size=None, drop_last=True),
        lambda: D.DataLoader(data, num_workers=-1),
        lambda: D.DataLoader(data, timeout=-1),
        lambda: D.RandomSampler(data, replacement=3),
        lambda: D.RandomSampler(data, num_samples=-1),
        lambda: D.random_split(data, [3, 3]),
        lambda: D.ConcatDataset([]),
        lambda: D.WeightedRandomSampler([1.0], 0),
        lambda: D.BatchSampler([1], 3, 4),
    ]
    kinds = [
        lambda: list(D.DataLoader(data, 2, sampler=[1, 40])),
        lambda: list(D.DataLoader(Numbers([object(), object()]), 2)),
        lambda: list(D.DataLoader(Numbers([torch.ones(2), torch.ones(3)]), 2)),
        lambda: list(D.DataLoader(Numbers([(1, 2), (1,)]), 2)),
        lambda: D.Dataset()[0],
        lambda: setattr(D.DataLoader(data), "batch_size", 3),
        lambda: data[40],
        lambda: D.DataLoader(Numbers([]), shuffle=True) and 0,
    ]
    return [raised(f) for f in calls] + [kind(f) for f in kinds]


def case_workers(torch):
    D = _data(torch)

    class Squares(D.Dataset):
        def __len__(self):
            return 9

        def __getitem__(self, i):
            return torch.full((2,), float(i * i)), i

    class Broken(Squares):
        def __getitem__(self, i):
            if i == 5:
                raise KeyError("five")
            return super().__getitem__(i)

    class Ids(D.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return D.get_worker_info().id, D.get_worker_info().num_workers

    torch.manual_seed(3)
    found = [
        [[b[0].tolist(), b[1].tolist()] for b in D.DataLoader(Squares(), 4, num_workers=2)],
        _order(D.DataLoader(Squares(), 4, shuffle=True, num_workers=2)),
        kind(lambda: list(D.DataLoader(Broken(), 4, num_workers=2))),
        [[t.tolist() for t in b] for b in D.DataLoader(Ids(), 2, num_workers=2)],
        D.get_worker_info(),
    ]
    return found + [torch.rand(1).item()]
