"""Convolution, pooling and the layers around them: values, gradients, texts and errors."""

from __future__ import annotations

from torch_compare import raised


def _values(torch, *shape):
    n = 1
    for s in shape:
        n *= s
    return ((torch.arange(n, dtype=torch.float32) * 37 % 19 - 9) / 4).reshape(shape)


def _both(torch, function, *inputs):
    """The value and the gradients of a sum weighted unevenly."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = function(*inputs)
    weight = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape) % 5 + 1
    (y * weight).sum().backward()
    return [y.detach()] + [x.grad for x in inputs]


def case_convolution(torch):
    F = torch.nn.functional
    v = lambda *shape: _values(torch, *shape)  # noqa: E731
    return {
        "padded": _both(torch, lambda x, w, b: F.conv2d(x, w, b, padding=1),
                        v(2, 3, 5, 4), v(4, 3, 3, 3), v(4)),
        "strided": _both(torch, lambda x, w: F.conv2d(x, w, stride=(2, 3), padding=(0, 2)),
                         v(1, 2, 7, 6), v(3, 2, 3, 2)),
        "grouped": _both(torch, lambda x, w, b: F.conv2d(x, w, b, dilation=2, groups=2),
                         v(1, 4, 6, 6), v(6, 2, 2, 3), v(6)),
        "depthwise": _both(torch, lambda x, w: F.conv1d(x, w, padding="same", groups=3),
                           v(2, 3, 6), v(3, 1, 3)),
        "unbatched": _both(torch, lambda x, w: F.conv3d(x, w, padding="valid"),
                           v(2, 3, 4, 3), v(2, 2, 2, 3, 1)),
        "whole numbers": F.conv1d(torch.arange(6).reshape(1, 1, 6), torch.tensor([[[1, -2]]])),
    }  # fmt: skip


def case_transposed_convolution(torch):
    F = torch.nn.functional
    v = lambda *shape: _values(torch, *shape)  # noqa: E731
    calls = [
        (lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1), v(2, 3, 4, 3), v(3, 2, 3, 3), v(2)),
        (lambda x, w: F.conv_transpose2d(x, w, stride=2), v(1, 2, 3, 3), v(2, 3, 2, 2)),
        (lambda x, w: F.conv_transpose1d(x, w, stride=5, dilation=2, groups=2), v(4, 4),
         v(4, 1, 3)),
        (lambda x, w: F.conv_transpose3d(x, w, padding=1), v(1, 2, 3, 2, 3), v(2, 1, 3, 2, 3)),
    ]  # fmt: skip
    layer = torch.nn.ConvTranspose2d(2, 3, 3, stride=2)
    shapes = [layer(v(1, 2, 4, 4), output_size=n).shape for n in ((9, 9), (10, 9), (1, 3, 9, 10))]
    return [_both(torch, *call) for call in calls], shapes


def case_pooling(torch):
    F = torch.nn.functional
    found = {}
    for rank in (1, 2, 3):
        x = _values(torch, 2, 2, *(7, 6, 5)[:rank]).round()  # with equal values in windows
        highest, mean = getattr(F, f"max_pool{rank}d"), getattr(F, f"avg_pool{rank}d")
        calls = {
            "max": lambda x: highest(x, 2),  # noqa: B023
            "max padded": lambda x: highest(x, 3, 2, 1),  # noqa: B023
            "max dilated": lambda x: highest(x, 2, 1, 0, 2),  # noqa: B023
            "max rounded up": lambda x: highest(x, 3, 2, 1, ceil_mode=True),  # noqa: B023
            "mean": lambda x: mean(x, 2),  # noqa: B023
            "mean padded": lambda x: mean(x, 3, 2, 1),  # noqa: B023
            "mean rounded up": lambda x: mean(x, 3, 2, 1, True),  # noqa: B023
            "mean of inside": lambda x: mean(x, 3, 2, 1, True, False),  # noqa: B023
        }
        for name, call in calls.items():
            found[f"{name} {rank}"] = _both(torch, call, x)
        found[f"places {rank}"] = list(highest(x, 3, 2, 1, return_indices=True))
    found["divisor"] = _both(torch, lambda x: F.avg_pool2d(x, 2, divisor_override=3),
                             _values(torch, 1, 1, 4, 4))  # fmt: skip
    return found


def case_pooling_of_infinities_and_nan(torch):
    x = torch.tensor([[[1.0, float("nan"), 3.0, float("-inf"), float("-inf"), 2.0]]])
    pool = torch.nn.functional.max_pool1d
    return pool(x, 2), pool(x, 3, 1), list(pool(x, 2, return_indices=True))


def case_adaptive_pooling(torch):
    F = torch.nn.functional
    found = {}
    for rank in (1, 2, 3):
        x = _values(torch, 2, 3, *(6, 5, 4)[:rank])
        for kind in ("avg", "max"):
            pool = getattr(F, f"adaptive_{kind}_pool{rank}d")
            for size in (1, 3, 7) if rank < 3 else (1, 3):
                found[f"{kind} {rank} {size}"] = _both(torch, lambda x: pool(x, size), x)  # noqa: B023
    found["kept"] = F.adaptive_avg_pool2d(_values(torch, 3, 4, 5), (2, None))
    return found


def case_resizing(torch):
    F = torch.nn.functional
    x = _values(torch, 1, 2, 5, 4)
    settings = [
        {"size": (8, 3)}, {"scale_factor": 2}, {"scale_factor": 1.7},
        {"scale_factor": 1.7, "recompute_scale_factor": True},
        {"size": 3, "mode": "nearest-exact"}, {"size": 7, "mode": "bilinear"},
        {"size": (7, 1), "mode": "bilinear", "align_corners": True},
        {"scale_factor": 0.6, "mode": "bilinear"}, {"size": (2, 3), "mode": "area"},
    ]  # fmt: skip
    return [_both(torch, lambda x: F.interpolate(x, **kw), x) for kw in settings]  # noqa: B023


def case_windows_as_columns(torch):
    F = torch.nn.functional
    v = lambda *shape: _values(torch, *shape)  # noqa: E731
    return [
        _both(torch, lambda x: F.unfold(x, (2, 3), 1, (1, 0), (2, 1)), v(2, 3, 5, 4)),
        _both(torch, lambda x: F.unfold(x, 2, 2), v(3, 5, 4)),
        _both(torch, lambda x: F.fold(x, (5, 4), (2, 3), 1, (1, 0), (2, 1)), v(2, 18, 6)),
        _both(torch, lambda x: F.pixel_shuffle(x, 2), v(2, 8, 3, 2)),
        _both(torch, lambda x: F.pixel_unshuffle(x, 2), v(8, 4, 2)),
        _both(torch, lambda x: F.local_response_norm(x, 3, 0.1), v(2, 5, 3)),
    ]


NORMS = {
    "BatchNorm1d": [{}, {"momentum": None}, {"affine": False, "track_running_stats": False}],
    "BatchNorm2d": [{}, {"eps": 0.1, "momentum": 0.3}],
    "BatchNorm3d": [{}],
    "InstanceNorm1d": [{"affine": True, "track_running_stats": True}, {}],
    "InstanceNorm2d": [{}],
    "InstanceNorm3d": [{"track_running_stats": True}],
}


def case_normalisation(torch):
    found = {}
    for name, settings in NORMS.items():
        for number, kw in enumerate(settings):
            layer = getattr(torch.nn, name)(3, **kw)
            x = _values(torch, 2, 3, *(4, 3, 2)[: int(name[-2])])
            rows = [_both(torch, layer, x * (i + 1)) for i in range(2)]
            grads = [p.grad for p in layer.parameters()]
            state = dict(layer.state_dict())
            layer.eval()
            found[f"{name} {number}"] = [rows, grads, state, layer(x).detach(), str(layer)]
    return found


LAYERS = (
    "Conv1d(4, 4, 3, 2, 'valid', 2, 2, padding_mode='reflect')", "Conv2d(3, 4, 3, padding=1)",
    "Conv3d(2, 2, (1, 2, 3), bias=False)", "ConvTranspose1d(2, 3, 2)",
    "ConvTranspose2d(3, 2, 3, 2, output_padding=1)", "ConvTranspose3d(2, 4, (1, 2, 3), 2)",
    "MaxPool1d(2)", "MaxPool2d(2, ceil_mode=True)", "MaxPool3d(2, 1, 1)", "AvgPool1d(3)",
    "AvgPool2d(3, 2)", "AvgPool3d(2)", "AdaptiveAvgPool1d(2)", "AdaptiveAvgPool2d((1, 1))",
    "AdaptiveMaxPool2d((2, None))", "ZeroPad2d((1, 0, 2, 1))", "ConstantPad1d(1, 2.5)",
    "ReflectionPad2d(1)", "ReplicationPad3d(1)", "CircularPad2d((1, 2, 0, 1))",
    "Upsample(scale_factor=2)", "UpsamplingBilinear2d((4, 5))", "Unfold(2)", "PixelShuffle(2)",
    "LocalResponseNorm(2)", "Dropout3d(0.3)",
)  # fmt: skip


def case_layers_have_parameters_and_texts(torch):
    """The parameters drawn from the seed, by name, and the text."""
    found = {}
    for text in LAYERS:
        torch.manual_seed(3)
        layer = eval(f"nn.{text}", {"nn": torch.nn})
        found[text] = [str(layer), dict(layer.state_dict())]
    return found


def case_padding_modes(torch):
    found = []
    for mode in ("zeros", "reflect", "replicate", "circular"):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode)
        found.append(_both(torch, layer, _values(torch, 1, 2, 5, 6)))
        layer = torch.nn.Conv1d(1, 1, 4, padding="same", padding_mode=mode)
        found.append(_both(torch, layer, _values(torch, 1, 1, 7)))
    return found


def case_errors_of_convolution(torch):
    F, nn = torch.nn.functional, torch.nn
    z = torch.zeros
    image, weight = z(1, 4, 8, 8), z(6, 4, 3, 3)
    calls = [
        lambda: F.conv2d(z(1, 3, 8, 8), z(4, 2, 3, 3)),
        lambda: F.conv2d(z(3, 8), z(4, 3, 3, 3)),
        lambda: F.conv2d(image, weight, z(5)),
        lambda: F.conv2d(z(1, 3, 2, 2), z(4, 3, 3, 3)),
        lambda: F.conv2d(image, z(6, 2, 3, 3), groups=4),
        lambda: F.conv2d(image, weight, stride=0),
        lambda: F.conv2d(image, weight, padding=-1),
        lambda: F.conv2d(image, weight, dilation=0),
        lambda: F.conv2d(image, weight, padding="same", stride=2),
        lambda: F.conv2d(image, weight, padding="sam"),
        lambda: F.conv2d(image, weight, stride=(1, 2, 3)),
        lambda: F.conv2d(image, weight, z(6).double()),
        lambda: F.conv2d(image, weight, groups=0),
        lambda: F.conv2d(image, z(0, 4, 3, 3)),
        lambda: F.conv2d(image, z(2, 4, 0, 3)),
        lambda: F.conv_transpose2d(image, z(4, 6, 3, 3), output_padding=1),
        lambda: F.conv_transpose2d(z(1, 3, 8, 8), z(4, 6, 3, 3)),
        lambda: F.conv_transpose2d(image, z(4, 6, 3, 3), z(5)),
        lambda: F.conv_transpose2d(image, z(4, 6, 3, 3), padding=5),
        lambda: nn.ConvTranspose2d(4, 6, 3, 2)(image, output_size=(40, 40)),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(4, 3, 3, groups=2),
        lambda: nn.Conv2d(4, 3, 3, padding="x"),
        lambda: nn.Conv2d(4, 3, 3, padding="same", stride=2),
        lambda: nn.Conv2d(4, 3, 3, groups=0),
        lambda: nn.ConvTranspose2d(4, 3, 3, padding_mode="reflect"),
    ]
    # sets print in any order
    return [raised(call) for call in calls if "{" not in raised(call)[1]]


def case_errors_of_pooling(torch):
    F = torch.nn.functional
    z = torch.zeros
    image, tiny = z(1, 4, 8, 8), z(1, 4, 2, 2)
    calls = [
        lambda: F.max_pool2d(image, 3, padding=2),
        lambda: F.max_pool2d(tiny, 3),
        lambda: F.max_pool2d(z(8, 8), 3),
        lambda: F.max_pool2d(image, 3, stride=0),
        lambda: F.max_pool2d(image, (2, 2, 2)),
        lambda: F.max_pool2d(image, 3, dilation=0),
        lambda: F.max_pool2d(z(1, 0, 8, 8), 2),
        lambda: F.max_pool1d(z(4), 2),
        lambda: F.max_pool1d(z(1, 4, 8), 9),
        lambda: F.max_pool1d(z(1, 4, 8), 3, padding=2),
        lambda: F.max_pool2d([1], 2),
        lambda: F.avg_pool1d(z(4), 2),
        lambda: F.avg_pool1d(z(1, 4, 8), 9),
        lambda: F.avg_pool2d(tiny, 2, divisor_override=0),
        lambda: F.adaptive_avg_pool2d(z(2, 2), 3),
        lambda: F.adaptive_avg_pool2d(tiny, (1, 2, 3)),
        lambda: F.interpolate(z(2, 3), scale_factor=2),
        lambda: F.interpolate(tiny),
        lambda: F.interpolate(tiny, size=3, mode="linear"),
        lambda: F.interpolate(tiny, size=3, align_corners=True),
        lambda: F.interpolate(tiny, size=(3, 4, 5)),
        lambda: F.interpolate(tiny, size=0),
        lambda: F.unfold(z(1, 3, 4, 5), 6),
        lambda: F.fold(z(2, 13, 4), (3, 3), 2),
        lambda: F.fold(z(2, 12, 5), (3, 3), 2),
        lambda: F.pixel_shuffle(z(2, 7, 3, 3), 2),
    ]
    return [raised(call) for call in calls]


def case_a_small_network_learns(torch):
    """Losses of five steps of Adam, and the state after them."""
    nn, F = torch.nn, torch.nn.functional
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x = _values(torch, 6, 1, 10, 10)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, dict(net.state_dict())


def case_a_residual_block_learns(torch):
    """Losses of five steps with momentum of a block as in residual networks."""
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
            self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
            self.down = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(y)) + self.down(x))

    torch.manual_seed(1)
    block = Block()
    optimizer = torch.optim.SGD(block.parameters(), lr=0.05, momentum=0.9)
    x = _values(torch, 3, 4, 8, 8)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (block(x) - 0.5).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    block.eval()
    return losses, block(x).detach().sum(), list(block.state_dict())
