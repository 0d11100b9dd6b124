"""Modules, layers, losses and initial values: values, gradients, texts and errors."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections import OrderedDict

from torch_compare import kind, raised


def _values(torch, *shape):
    n = 1
    for s in shape:
        n *= s
    return ((torch.arange(n, dtype=torch.float32) * 37 % 19 - 9) / 4).reshape(shape)


def _both(torch, function, *inputs):
    """The value and the gradients of a sum weighted unevenly."""
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*inputs)
    weight = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape) % 5 + 1
    (y * weight).sum().backward()
    return [y.detach()] + [x.grad for x in inputs if x.is_floating_point()]


ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid",
    "tanh", "softplus", "softsign", "logsigmoid", "hardtanh", "hardsigmoid", "hardswish",
    "hardshrink", "softshrink", "tanhshrink",
)  # fmt: skip


def case_activations(torch):
    x = _values(torch, 4, 6) + 0.05
    found = {}
    for name in ACTIVATIONS:
        found[name] = _both(torch, getattr(torch.nn.functional, name), x)
    corners = torch.tensor([0.0, 1.0, -1.0, 6.0, 0.5, -0.5])
    for name in ACTIVATIONS:
        found[name + " at corners"] = _both(torch, getattr(torch.nn.functional, name), corners)
    return found


def case_activations_with_arguments(torch):
    F = torch.nn.functional
    x = _values(torch, 4, 6) + 0.05
    calls = [
        lambda x: F.leaky_relu(x, 0.2),
        lambda x: F.elu(x, 2.0),
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: F.softplus(x, 2.0, 3.0),
        lambda x: F.hardtanh(x, -0.5, 0.7),
        lambda x: F.threshold(x, 0.1, -3.0),
        lambda x: F.glu(x, 1),
        lambda x: F.softmax(x, 1),
        lambda x: F.log_softmax(x, 0),
        lambda x: F.softmin(x, -1),
        lambda x: F.normalize(x, dim=1),
        lambda x: F.relu(x * 2, inplace=True),
        lambda x: F.leaky_relu(x * 2, 0.3, inplace=True),
    ]
    return [_both(torch, f, x) for f in calls]


def _second(torch, function, *inputs):
    """Value, gradient, and the gradient of the gradient's squared norm, in float64."""
    inputs = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
    roots = [x for x in inputs if x.is_floating_point()]
    y = function(*inputs)
    weight = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape) % 5 + 1
    grads = torch.autograd.grad((y * weight).sum(), roots, create_graph=True)
    norm = sum((g * g).sum() for g in grads)
    twice = [None] * len(roots)
    if norm.requires_grad:
        twice = torch.autograd.grad(norm, roots, allow_unused=True)
    zeros = [torch.zeros_like(x).detach() for x in roots]
    twice = [z if g is None else g for g, z in zip(twice, zeros, strict=True)]
    return [y.detach(), [g.detach() for g in grads], twice]


def case_second_gradients(torch):
    nn, F = torch.nn, torch.nn.functional
    x, y = _values(torch, 3, 4) + 0.07, _values(torch, 3, 4).flip(0) * 0.3 + 0.31
    p, q = torch.sigmoid(x), torch.sigmoid(y)
    labels = torch.tensor([1, 0, 3])
    twice = [name for name in ACTIVATIONS if name != "hardsigmoid"]  # PyTorch has no second one
    found = {name: _second(torch, getattr(F, name), x) for name in twice}
    weight, bias = _values(torch, 4) + 3, _values(torch, 4)
    found["layer norm"] = _second(
        torch, lambda a, w, b: F.layer_norm(a, (4,), w, b), x, weight, bias
    )
    found["group norm"] = _second(torch, lambda a: F.group_norm(a, 2), x)
    found["batch norm"] = _second(
        torch, lambda a, w: F.batch_norm(a, None, None, w, training=True), x, weight
    )
    found["linear"] = _second(torch, F.linear, x, y, bias[:3])
    found["softmax"] = _second(torch, lambda a: F.softmax(a, 1), x)
    found["log softmax"] = _second(torch, lambda a: F.log_softmax(a, 1), x)
    found["cross entropy"] = _second(torch, lambda a: F.cross_entropy(a, labels), x)
    found["smoothed"] = _second(torch, lambda a: F.cross_entropy(a, labels, label_smoothing=0.1), x)
    found["soft"] = _second(torch, lambda a, b: F.cross_entropy(a, b), x, q)
    found["mse"] = _second(torch, F.mse_loss, x, y)
    found["smooth l1"] = _second(torch, F.smooth_l1_loss, x, y)
    found["huber"] = _second(torch, lambda a, b: F.huber_loss(a, b, delta=0.7), x, y)
    found["bce"] = _second(torch, lambda a: F.binary_cross_entropy(a, q.double()), p)
    found["bce logits"] = _second(torch, F.binary_cross_entropy_with_logits, x, q)
    found["kl"] = _second(torch, lambda a, b: F.kl_div(a, b, reduction="batchmean"), x, q)
    found["embedding"] = _second(torch, lambda w: F.embedding(labels, w) ** 2, _values(torch, 5, 2))
    found["cosine"] = _second(torch, F.cosine_similarity, x, y)
    found["prelu"] = _second(torch, F.prelu, x, weight[:1])
    found["glu"] = _second(torch, F.glu, x)
    found["bilinear"] = _second(torch, F.bilinear, x, y, _values(torch, 2, 4, 4))
    found["nothing"] = repr(nn.Identity())
    return found


def case_losses(torch):
    F = torch.nn.functional
    x, y = _values(torch, 5, 4), _values(torch, 5, 4).flip(0) + 0.3
    p, q = torch.sigmoid(x), torch.sigmoid(y)
    found = {}
    for reduction in ("mean", "sum", "none"):
        found[reduction] = [
            _both(torch, lambda a, b, r=reduction: F.mse_loss(a, b, reduction=r), x, y),
            _both(torch, lambda a, b, r=reduction: F.l1_loss(a, b, reduction=r), x, y),
            _both(torch, lambda a, b, r=reduction: F.smooth_l1_loss(a, b, reduction=r), x, y),
            _both(torch, lambda a, b, r=reduction: F.huber_loss(a, b, r, 0.4), x, y),
            _both(torch, lambda a, b, r=reduction: F.binary_cross_entropy(a, b, reduction=r), p, q),
            _both(
                torch,
                lambda a, b, r=reduction: F.binary_cross_entropy_with_logits(a, b, reduction=r),
                x,
                q,
            ),
            _both(
                torch,
                lambda a, b, r=reduction: F.kl_div(F.log_softmax(a, 1), b, reduction=r),
                x,
                q,
            ),
        ]
    return found


def case_cross_entropy(torch):
    F = torch.nn.functional
    x = _values(torch, 6, 4)
    y = torch.tensor([0, 3, 1, -100, 2, 0])
    weight = torch.tensor([0.5, 1.0, 2.0, 0.25])
    soft = torch.softmax(_values(torch, 6, 4).flip(0), 1)
    deep, where = _values(torch, 2, 3, 4), torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    found = []
    for reduction in ("mean", "sum", "none"):
        for options in (
            {},
            {"weight": weight},
            {"label_smoothing": 0.2},
            {"weight": weight, "label_smoothing": 0.2},
            {"ignore_index": 3},
        ):
            found.append(
                _both(
                    torch,
                    lambda a, r=reduction, o=options: F.cross_entropy(
                        a, y.clamp(min=0) if "ignore_index" in o else y, reduction=r, **o
                    ),
                    x,
                )
            )
            if "ignore_index" not in options:
                found.append(
                    _both(
                        torch,
                        lambda a, b, r=reduction, o=options: F.cross_entropy(
                            a, b, reduction=r, **o
                        ),
                        x,
                        soft,
                    )
                )
        found.append(
            _both(torch, lambda a, r=reduction: F.cross_entropy(a, where, reduction=r), deep)
        )
        found.append(
            _both(
                torch,
                lambda a, r=reduction: F.nll_loss(F.log_softmax(a, 1), y, weight, reduction=r),
                x,
            )
        )
    found.append(F.cross_entropy(x[0], torch.tensor(2)))
    found.append(F.cross_entropy(x, y.clamp(min=0).to(torch.uint8)))
    return found


def case_losses_of_rankings(torch):
    nn = torch.nn
    x, y, z = (_values(torch, 5, 4), _values(torch, 5, 4).flip(0) + 0.3,
               _values(torch, 5, 4).flip(1) * 0.5)  # fmt: skip
    sign = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
    signs = sign.reshape(5, 1).expand(5, 4)
    counts = torch.arange(20.0).reshape(5, 4) % 7
    labels = torch.tensor([0, 3, 1, 2, 0])
    weight = torch.tensor([0.5, 1.0, 2.0, 0.25])
    spread = torch.sigmoid(z)
    found = {}
    for reduction in ("mean", "sum", "none"):
        r = {"reduction": reduction}
        found[reduction] = [
            _both(torch, lambda a, b, r=r: nn.MarginRankingLoss(0.3, **r)(a, b, signs), x, y),
            _both(torch, lambda a, r=r: nn.HingeEmbeddingLoss(**r)(a, signs), x),
            _both(torch, lambda a, r=r: nn.SoftMarginLoss(**r)(a, signs), x),
            _both(torch, lambda a, b, r=r: nn.CosineEmbeddingLoss(0.1, **r)(a, b, sign), x, y),
            _both(torch, lambda a, b, c, r=r: nn.TripletMarginLoss(**r)(a, b, c), x, y, z),
            _both(
                torch,
                lambda a, b, c, r=r: nn.TripletMarginLoss(0.5, 3, swap=True, **r)(a, b, c),
                x, y, z,
            ),
            _both(torch, lambda a, r=r: nn.PoissonNLLLoss(**r)(a, counts), x),
            _both(torch, lambda a, r=r: nn.PoissonNLLLoss(False, True, **r)(a, counts), spread),
            _both(torch, lambda a, b, v, r=r: nn.GaussianNLLLoss(**r)(a, b, v), x, y, spread),
            _both(torch, lambda a, r=r: nn.MultiMarginLoss(**r)(a, labels), x),
            _both(torch, lambda a, r=r: nn.MultiMarginLoss(2, 0.5, weight, **r)(a, labels), x),
        ]  # fmt: skip
    return found


def case_saturated_probabilities(torch):
    p = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5, 1e-20])
    t = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 1.0])
    loss = torch.nn.functional.binary_cross_entropy(p, t, reduction="none")
    x = torch.tensor([90.0, -90.0, 20.0, -20.0], requires_grad=True)
    torch.nn.functional.binary_cross_entropy(
        torch.sigmoid(x), torch.tensor([1.0, 0, 0, 1])
    ).backward()
    weighted = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 0.5, 1.0, 2.0]))
    return loss, x.grad, weighted(x.detach(), torch.tensor([1.0, 0, 0, 1]))


def case_layers(torch):
    nn = torch.nn
    torch.manual_seed(2)
    x = _values(torch, 6, 4)
    layers = [
        nn.Linear(4, 3), nn.Linear(4, 3, bias=False), nn.LayerNorm(4), nn.LayerNorm((6, 4)),
        nn.RMSNorm(4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False),
        nn.PReLU(), nn.Flatten(0), nn.Unflatten(1, (2, 2)), nn.Identity(7), nn.Softmax(1),
        nn.BatchNorm1d(4, momentum=None), nn.BatchNorm1d(4, track_running_stats=False),
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
    ]  # fmt: skip
    found = []
    for layer in layers:
        found.append(_both(torch, layer, x))
        found.append([p.grad for p in layer.parameters()])
        found.append(dict(layer.state_dict()))
        layer.eval()
        found.append(layer(x))
    bilinear = nn.Bilinear(4, 4, 2)
    found.append(_both(torch, bilinear, x, x.flip(0)))
    volume = _values(torch, 3, 4, 5)
    found.append(_both(torch, nn.BatchNorm1d(4), volume))
    found.append(_both(torch, nn.GroupNorm(4, 4), volume))
    found.append(nn.Linear(5, 2)(volume))
    return found


def case_embedding(torch):
    nn = torch.nn
    torch.manual_seed(4)
    table = nn.Embedding(7, 3, padding_idx=2)
    index = torch.tensor([[0, 2, 6], [6, 6, 1]])
    out = table(index)
    (out * out).sum().backward()
    given = nn.Embedding.from_pretrained(_values(torch, 4, 2))
    return out, table.weight.grad, given(torch.tensor([3, 0])), given.weight.requires_grad


def case_initial_values(torch):
    nn, init = torch.nn, torch.nn.init
    found = {}
    torch.manual_seed(0)
    for name in (
        "uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
        "kaiming_normal_", "trunc_normal_", "ones_", "zeros_", "eye_",
    ):  # fmt: skip
        found[name] = getattr(init, name)(torch.empty(6, 5))
    found["constant_"] = init.constant_(torch.empty(2), 0.3)
    found["fan_out"] = init.kaiming_normal_(torch.empty(3, 4), mode="fan_out", nonlinearity="relu")
    found["dirac_"] = init.dirac_(torch.empty(4, 3, 3))
    found["sparse_"] = init.sparse_(torch.empty(5, 3), 0.4)
    found["gains"] = [init.calculate_gain(n) for n in ("linear", "tanh", "relu", "selu")]
    found["leaky"] = init.calculate_gain("leaky_relu", 0.3)
    for layer in (nn.Linear(7, 5), nn.Embedding(4, 3), nn.Bilinear(2, 3, 2), nn.Linear(64, 10)):
        found[repr(layer)] = [p.detach() for p in layer.parameters()]
    return found


def case_printing(torch):
    nn = torch.nn
    modules = [
        nn.Linear(3, 4, bias=False), nn.Bilinear(2, 3, 4), nn.ReLU(), nn.ReLU(inplace=True),
        nn.ReLU6(), nn.LeakyReLU(0.2), nn.LeakyReLU(0.2, inplace=True), nn.ELU(),
        nn.ELU(2.0, True), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(),
        nn.SiLU(True), nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(1), nn.Softmax(),
        nn.LogSoftmax(1), nn.Softmin(1), nn.Softplus(), nn.Softsign(), nn.LogSigmoid(),
        nn.Hardtanh(), nn.Hardtanh(-2.0, 2.0, inplace=True), nn.Hardsigmoid(), nn.Hardswish(),
        nn.Hardshrink(), nn.Softshrink(), nn.Tanhshrink(), nn.Threshold(1, 2), nn.PReLU(),
        nn.GLU(), nn.Dropout(0.3), nn.Dropout(0.3, True), nn.Dropout1d(), nn.Dropout2d(),
        nn.Flatten(), nn.Unflatten(1, (2, 3)), nn.Identity(3), nn.LayerNorm(3),
        nn.LayerNorm((3, 4), bias=False), nn.RMSNorm(3), nn.GroupNorm(2, 4), nn.BatchNorm1d(4),
        nn.BatchNorm1d(4, affine=False), nn.Embedding(3, 4), nn.Embedding(3, 4, padding_idx=1),
        nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(),
        nn.HuberLoss(), nn.BCELoss(), nn.BCEWithLogitsLoss(), nn.KLDivLoss(),
        nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(2, 2)]), nn.ModuleDict({"a": nn.ReLU()}),
        nn.ParameterList([torch.zeros(3), nn.Parameter(torch.zeros(2, 2))]),
        nn.ParameterDict({"a": torch.zeros(2)}), nn.Sequential(), nn.ModuleList(),
        nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.ReLU())),
        nn.CosineSimilarity(), nn.PairwiseDistance(),
        nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(3)]),
    ]  # fmt: skip
    return [repr(m) for m in modules] + [repr(nn.Parameter(torch.ones(2)))]


def _net(torch):
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(3, 4)
            self.fc2 = nn.Linear(4, 2)
            self.register_buffer("b", torch.zeros(2))
            self.register_buffer("hidden", torch.ones(1), persistent=False)

        def forward(self, x):
            return self.fc2(torch.relu(self.fc1(x))) + self.b

    return Net()


def case_state_dict(torch):
    net = _net(torch)
    state = net.state_dict()
    keep = net.state_dict(prefix="p.", keep_vars=True)
    return [
        list(state), type(state).__name__, dict(state._metadata), list(keep),
        keep["p.fc1.weight"] is net.fc1.weight, state["fc1.weight"].requires_grad,
        repr(net.load_state_dict(state)),
    ]  # fmt: skip


def case_load_errors(torch):
    net = _net(torch)
    good = net.state_dict()
    bad = dict(good)
    bad["fc1.weight"] = torch.zeros(2, 2)
    bad["fc2.bias"] = 3
    del bad["b"]
    bad["x"] = torch.zeros(1)
    bad["fc1.deep.weight"] = torch.zeros(1)
    part = {k: v for k, v in good.items() if k != "b"}
    part["x"] = torch.zeros(1)
    return [
        raised(lambda: net.load_state_dict(bad)),
        raised(lambda: net.load_state_dict(bad, strict=False)),
        raised(lambda: net.load_state_dict(3)),
        raised(lambda: net.load_state_dict({})),
        repr(net.load_state_dict(part, strict=False)),
        [list(x) for x in net.load_state_dict(part, strict=False)],
    ]


def case_load_assign(torch):
    net = _net(torch)
    given = {k: torch.full_like(v, 2.0) for k, v in net.state_dict().items()}
    net.load_state_dict(given, assign=True)
    return net.fc1.weight, net.fc1.weight.requires_grad, type(net.fc1.weight).__name__, net.b


def case_attribute_errors(torch):
    nn = torch.nn
    n = _net(torch)

    class Early(nn.Module):
        def __init__(self):
            self.w = nn.Linear(2, 2)

    class EarlyParameter(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(torch.zeros(2))

    calls = [
        lambda: setattr(n.fc1, "weight", torch.zeros(3)),
        lambda: setattr(n, "fc1", 3),
        lambda: setattr(n, "b", 3),
        Early,
        EarlyParameter,
        lambda: n.foo,
        lambda: nn.Module()(3),
        lambda: n.register_buffer("fc1", None),
        lambda: n.register_buffer("a.b", None),
        lambda: n.register_buffer("", None),
        lambda: n.register_buffer(3, None),
        lambda: n.register_buffer("q", 3),
        lambda: n.register_parameter("fc1", None),
        lambda: n.register_parameter("q", torch.zeros(3)),
        lambda: n.register_parameter("a.b", None),
        lambda: n.register_parameter("", None),
        lambda: n.add_module("b", nn.ReLU()),
        lambda: n.add_module("q", 3),
        lambda: n.add_module("", nn.ReLU()),
        lambda: n.add_module("a.b", nn.ReLU()),
        lambda: n.add_module(3, nn.ReLU()),
        lambda: n.get_submodule("fc3"),
        lambda: n.get_submodule("fc1.weight"),
        lambda: n.get_parameter("fc1"),
        lambda: n.get_buffer("fc1.weight"),
        lambda: n.train(3),
        lambda: n.to(torch.int64),
        lambda: nn.Sequential(nn.ReLU())[3],
        lambda: nn.ModuleList([3]),
        lambda: nn.Embedding(3, 2, padding_idx=5),
        lambda: nn.Dropout(2.0),
        lambda: nn.Hardtanh(1, 0),
        lambda: nn.GroupNorm(3, 4),
    ]
    return [raised(f) for f in calls]


def case_call_errors(torch):
    nn, F = torch.nn, torch.nn.functional
    zeros = torch.zeros
    c = nn.CrossEntropyLoss()
    calls = [
        lambda: nn.Linear(3, 4)(zeros(2, 5)),
        lambda: nn.Linear(3, 4)(zeros(5)),
        lambda: nn.Linear(3, 4)(zeros(2, 2, 5)),
        lambda: nn.Linear(3, 4)(zeros(2, 3).double()),
        lambda: nn.Linear(3, 4)(zeros(2, 3).long()),
        lambda: nn.Linear(3, 4)([1, 2, 3]),
        lambda: nn.Linear(3, 4)(torch.tensor(3.0)),
        lambda: c(zeros(3, 4), torch.tensor([0, 1])),
        lambda: c(zeros(3, 4), zeros(3, 5)),
        lambda: c(zeros(3, 4), zeros(3).int()),
        lambda: c(zeros(3, 4), zeros(3)),
        lambda: c(zeros(3, 4).long(), zeros(3).long()),
        lambda: c(zeros(3, 4, 5), zeros(3, 6).long()),
        lambda: c(zeros(3, 4), zeros(3, 4).long()),
        lambda: nn.CrossEntropyLoss(weight=torch.ones(3))(zeros(3, 4), zeros(3).long()),
        lambda: nn.CrossEntropyLoss(reduction="foo")(zeros(3, 4), zeros(3).long()),
        lambda: F.cross_entropy(zeros(3, 4), zeros(3).long(), label_smoothing=2.0),
        lambda: F.nll_loss(zeros(3, 4), zeros(3).int()),
        lambda: F.mse_loss(zeros(3, 4), zeros(3, 5)),
        lambda: F.mse_loss(zeros(3, 4).long(), zeros(3, 4).long()),
        lambda: F.binary_cross_entropy(zeros(3, 4), zeros(3, 5)),
        lambda: F.binary_cross_entropy(zeros(3), zeros(3).long()),
        lambda: F.binary_cross_entropy_with_logits(zeros(3), zeros(4)),
        lambda: F.binary_cross_entropy_with_logits(zeros(3), zeros(3).long()),
        lambda: F.dropout(zeros(3), 2.0),
        lambda: F.dropout(zeros(3).long(), 0.5),
        lambda: F.softmax(zeros(3), 5),
        lambda: F.softmax(zeros(3).long(), 0),
        lambda: nn.Flatten(3, 4)(zeros(2, 3)),
        lambda: nn.Unflatten(1, (2, 2))(zeros(2, 3)),
        lambda: F.gelu(zeros(3), approximate="x"),
        lambda: F.silu(zeros(3).long()),
        lambda: F.elu(zeros(3).long()),
        lambda: F.softplus(zeros(3).long()),
        lambda: F.layer_norm(zeros(3, 4), (5,)),
        lambda: nn.BatchNorm1d(4)(zeros(3, 5)),
        lambda: nn.BatchNorm1d(4)(zeros(1, 4)),
        lambda: nn.BatchNorm1d(4)(zeros(4)),
        lambda: F.embedding(torch.tensor([5.0]), zeros(3, 2)),
        lambda: F.kl_div(zeros(3), zeros(4)),
        lambda: F.smooth_l1_loss(zeros(3), zeros(3), beta=-1.0),
        lambda: F.huber_loss(zeros(3), zeros(3), delta=0.0),
    ]
    return [raised(f) for f in calls]


def case_values_out_of_range(torch):
    """Found when the program runs: the class is the original's, the message says the line too."""
    F = torch.nn.functional
    calls = [
        lambda: F.cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 12])).item(),
        lambda: F.cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, -1])).item(),
        lambda: F.nll_loss(torch.zeros(3, 4), torch.tensor([0, 1, 12])).item(),
        lambda: F.embedding(torch.tensor([5]), torch.zeros(3, 2)).tolist(),
        lambda: F.binary_cross_entropy(torch.zeros(3) + 2, torch.zeros(3)).item(),
        lambda: F.binary_cross_entropy(torch.zeros(3), torch.zeros(3) + 2).item(),
        lambda: F.one_hot(torch.tensor([5]), 3).tolist(),
    ]
    return [kind(f) for f in calls]


def case_walking(torch):
    nn = torch.nn
    shared = nn.ReLU()
    m = nn.Sequential(
        OrderedDict(a=nn.Linear(2, 2), act=shared, inner=nn.Sequential(nn.Linear(2, 2), shared))
    )
    m.register_buffer("buf", torch.zeros(1))
    return [
        [n for n, _ in m.named_modules()],
        [n for n, _ in m.named_modules(remove_duplicate=False)],
        [n for n, _ in m.named_children()],
        [n for n, _ in m.named_parameters()],
        [n for n, _ in m.named_parameters(prefix="x", recurse=False)],
        [n for n, _ in m.named_buffers()],
        len(list(m.modules())),
        len(list(m.parameters())),
        m.get_submodule("inner.0") is m.inner[0],
        tuple(m.get_parameter("inner.0.weight").shape),
        m.training,
        m.eval().inner[0].training,
        [n for n, _ in m.train().apply(lambda k: None).named_children()],
    ]


def case_containers(torch):
    nn = torch.nn
    s = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    s.append(nn.ELU()).insert(1, nn.GELU())
    found = [repr(s), repr(s[1:3]), repr(s[-1]), len(s), repr(s + nn.Sequential(nn.SELU()))]
    del s[0]
    s[0] = nn.Mish()
    found += [repr(s), repr(s.pop(1)), repr(s), repr(nn.Sequential(nn.ReLU()) * 2)]
    names = nn.ModuleList([nn.ReLU()])
    names += [nn.Tanh()]
    names.insert(0, nn.ELU())
    names.extend([nn.SELU(), nn.SELU()])
    found += [repr(names), repr(names[1:]), len(names), repr(names + [nn.GELU()])]
    del names[1]
    found += [repr(names), [repr(m) for m in names]]
    d = nn.ModuleDict({"x": nn.ReLU(), "y": nn.Linear(1, 1)})
    d["z"] = nn.Tanh()
    found += [list(d), list(d.keys()), "x" in d, len(d), repr(d.pop("x")), repr(d)]
    d.update([("w", nn.ELU())])
    found += [repr(d), list(nn.ModuleDict({"q": d}).state_dict())]
    p = nn.ParameterList([torch.ones(2), nn.Parameter(torch.zeros(1))])
    p.append(torch.ones(3))
    found += [repr(p), list(p.state_dict()), len(p), p[2], len(list(p.parameters()))]
    q = nn.ParameterDict({"a": torch.ones(2)})
    q["b"] = nn.Parameter(torch.zeros(1))
    found += [repr(q), list(q.keys()), "a" in q, list(q.state_dict()), q.pop("a")]
    return found


def case_attributes(torch):
    nn = torch.nn
    n = _net(torch)
    n.fc1.weight = nn.Parameter(torch.zeros(4, 3))
    n.extra = 7
    n.b = torch.ones(2)
    found = [n.fc1.weight.sum(), n.extra, n.b, list(dict(n.named_buffers()))]
    del n.fc2
    found.append(hasattr(n, "fc2"))
    n.fc1.bias = None
    found += [repr(n), list(n.state_dict()), n(torch.ones(1, 3)) if False else 0]
    n.fc1 = nn.Linear(3, 1)
    n.other = n.fc1
    found += [repr(n), [k for k, _ in n.named_parameters()]]
    n.lone = nn.Parameter(torch.zeros(1))
    n.buf = nn.Buffer(torch.ones(1))
    n.q = nn.Buffer(torch.ones(1), persistent=False)
    found += [list(n.state_dict()), [k for k, _ in n.named_buffers()]]
    del n.lone
    return found + [list(n.state_dict())]


def case_copies(torch):
    n = _net(torch)
    twin = copy.deepcopy(n)
    back = pickle.loads(pickle.dumps(torch.nn.Linear(2, 2)))
    with torch.no_grad():
        n.fc1.weight.zero_()
    return [
        bool((twin.fc1.weight == 0).all()), bool((n.fc1.weight == 0).all()),
        twin.fc1.weight is twin._parameters.get("weight", twin.fc1.weight), repr(back),
        back.weight.requires_grad, list(twin.state_dict()),
    ]  # fmt: skip


def case_module_hooks(torch):
    n = _net(torch)
    seen = []
    handles = [
        n.fc1.register_forward_pre_hook(lambda m, a: (a[0] * 2,)),
        n.fc1.register_forward_hook(lambda m, a, y: y + 1),
        n.register_forward_hook(lambda m, a, k, y: seen.append(sorted(k)), with_kwargs=True),
        n.fc2.register_full_backward_hook(
            lambda m, gi, go: seen.append([gi[0].tolist(), go[0].tolist()]) or (gi[0] * 3,)
        ),
        n.fc1.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0] is None)),
    ]
    with torch.no_grad():
        for i, p in enumerate(n.parameters()):
            p.copy_(_values(torch, *p.shape) + i)
    x = _values(torch, 2, 3)
    y = n(x=x)
    y.sum().backward()
    found = [y.detach().tolist(), n.fc1.weight.grad.tolist(), list(seen)]
    for handle in handles:
        handle.remove()
    return found + [n(x).tolist(), len(seen)]


def case_requires_grad_and_types(torch):
    n = _net(torch)
    n.requires_grad_(False)
    found = [[p.requires_grad for p in n.parameters()]]
    n.double()
    found += [str(n.fc1.weight.dtype), str(n.b.dtype), str(n.to(torch.float32).b.dtype)]
    n.fc1.weight.requires_grad_(True)
    n(torch.ones(1, 3)).sum().backward()
    found.append([p.grad is None for p in n.parameters()])
    n.zero_grad()
    return found + [[p.grad is None for p in n.parameters()]]


def case_dropout(torch):
    nn, F = torch.nn, torch.nn.functional
    torch.manual_seed(9)
    x = _values(torch, 6, 5)
    found = [_both(torch, lambda a: F.dropout(a, 0.3), x), nn.Dropout(0.5)(x), F.dropout(x, 0.0)]
    found += [F.dropout(x, 1.0), nn.Dropout(0.5).eval()(x), F.dropout1d(x.reshape(2, 3, 5), 0.5)]
    found += [nn.Dropout2d(0.5)(x.reshape(1, 3, 2, 5)), F.dropout(x * 1, 0.5, inplace=True)]
    return found + [torch.rand(2)]


def case_parameters_as_vector(torch):
    n = _net(torch)
    with torch.no_grad():
        for p in n.parameters():
            p.copy_(_values(torch, *p.shape))
    vector = torch.nn.utils.parameters_to_vector(n.parameters())
    torch.nn.utils.vector_to_parameters(vector * 2, n.parameters())
    return vector, n.fc2.bias, n.fc1.weight


def case_distances(torch):
    F = torch.nn.functional
    x, y = _values(torch, 4, 3) + 0.1, _values(torch, 4, 3).flip(0) + 0.2
    return [
        _both(torch, lambda a, b: F.cosine_similarity(a, b), x, y),
        _both(torch, lambda a, b: F.pairwise_distance(a, b), x, y),
        F.one_hot(torch.tensor([[0, 2], [1, 1]])),
        F.one_hot(torch.tensor([0, 2]), 5),
    ]


class _Symmetric:
    """A parametrisation, as a module of either library."""

    @staticmethod
    def of(torch):
        class Symmetric(torch.nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).transpose(-1, -2)

            def right_inverse(self, a):
                return a.triu()

        return Symmetric()


def case_parametrizations(torch):
    P = torch.nn.utils.parametrize
    torch.manual_seed(3)
    layer = torch.nn.Linear(3, 3)
    P.register_parametrization(layer, "weight", _Symmetric.of(torch))
    found = [sorted(layer.state_dict()), layer.weight, P.is_parametrized(layer, "weight")]
    layer(_values(torch, 2, 3)).sum().backward()
    found += [layer.parametrizations.weight.original.grad, type(layer).__name__]
    layer.weight = torch.ones(3, 3)
    with P.cached():
        found += [layer.weight is layer.weight, layer.weight]
    twin = copy.deepcopy(layer)
    found += [twin.weight, raised(lambda: pickle.dumps(layer))]
    P.remove_parametrizations(layer, "weight")
    found += [sorted(layer.state_dict()), type(layer).__name__, layer.weight]
    found += [raised(lambda: P.remove_parametrizations(layer, "weight"))]
    return found + [raised(lambda: P.register_parametrization(layer, "no", torch.nn.ReLU()))]


def _parametrized(torch, layer, x):
    """Names, the weight, and gradients of what it is computed from."""
    y = layer(x)
    (y * (torch.arange(y.numel()).reshape(y.shape) % 3)).sum().backward()
    grads = {name: p.grad for name, p in layer.named_parameters()}
    return [sorted(layer.state_dict()), layer.weight, y, grads]


def case_weight_norm_and_spectral_norm(torch):
    U = torch.nn.utils
    made = U.parametrizations
    torch.manual_seed(4)
    x = _values(torch, 5, 4)
    image = _values(torch, 2, 4, 5)
    found = [_parametrized(torch, made.weight_norm(torch.nn.Linear(4, 3)), x)]
    found += [_parametrized(torch, made.weight_norm(torch.nn.Linear(4, 3), dim=None), x)]
    found += [_parametrized(torch, made.spectral_norm(torch.nn.Linear(4, 3)), x)]
    found += [_parametrized(torch, made.spectral_norm(torch.nn.Conv1d(4, 3, 2)), image)]
    turned = made.spectral_norm(torch.nn.ConvTranspose1d(4, 3, 2), n_power_iterations=2)
    found += [_parametrized(torch, turned.eval(), image)]
    old = U.spectral_norm(torch.nn.Linear(4, 3))
    found += [_parametrized(torch, old, x), _parametrized(torch, old.eval(), x)]
    found += [sorted(U.remove_spectral_norm(old).state_dict()), old.weight]
    return found + [raised(lambda: U.remove_spectral_norm(old))]


def case_orthogonal(torch):
    orthogonal = torch.nn.utils.parametrizations.orthogonal
    torch.manual_seed(5)
    found = []
    for sizes, how in (((4, 4), None), ((4, 4), "cayley"), ((4, 3), None), ((3, 4), "householder"),
                       ((4, 3), "matrix_exp")):  # fmt: skip
        for base in (True, False):
            layer = orthogonal(torch.nn.Linear(*sizes), "weight", how, use_trivialization=base)
            w = layer.weight
            eye = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
            found += [(eye - torch.eye(len(eye))).abs().max() < 1e-5]
            found += _parametrized(torch, layer, _values(torch, 2, sizes[0]))
    return found + [raised(lambda: orthogonal(torch.nn.Linear(2, 2), "weight", "none"))]


def case_pruning(torch):
    prune = importlib.import_module(f"{torch.__name__}.nn.utils.prune")
    torch.manual_seed(6)
    layer = torch.nn.Linear(4, 3)
    x = _values(torch, 2, 4)
    prune.l1_unstructured(layer, "weight", 3)
    found = [sorted(layer.state_dict()), layer.weight, layer.weight_mask, prune.is_pruned(layer)]
    layer(x).sum().backward()
    found += [layer.weight_orig.grad]
    prune.l1_unstructured(layer, "weight", 0.25)
    prune.ln_structured(layer, "weight", 1, 2, 0)
    found += [layer.weight_mask, layer(x)]
    prune.remove(layer, "weight")
    found += [sorted(layer.state_dict()), layer.weight, prune.is_pruned(layer)]
    found += [raised(lambda: prune.remove(layer, "weight"))]
    prune.random_unstructured(layer, "weight", 0.5)
    prune.random_structured(layer, "weight", 1, 1)
    prune.custom_from_mask(layer, "bias", torch.tensor([1, 0, 1]))
    prune.identity(layer, "bias")
    found += [layer.weight_mask, layer.bias]
    found += [raised(lambda: prune.l1_unstructured(layer, "weight", 1.5))]
    pair = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2))
    places = [(pair[0], "weight"), (pair[1], "weight")]
    prune.global_unstructured(places, pruning_method=prune.L1Unstructured, amount=4)
    return found + [pair[0].weight_mask, pair[1].weight_mask, pair(_values(torch, 2, 3))]
