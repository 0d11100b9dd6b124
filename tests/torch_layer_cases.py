"""Attention, recurrence, sampling, sequence losses and further optimizers: values and gradients."""

from __future__ import annotations

from torch_compare import raised


def _values(torch, *shape, step=37):
    n = 1
    for s in shape:
        n *= s
    return ((torch.arange(n, dtype=torch.float32) * step % 19 - 9) / 8).reshape(shape)


def _both(torch, function, *inputs):
    """The value and the gradients of a sum weighted unevenly."""
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = function(*inputs)
    weight = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape) % 5 + 1
    (y * weight).sum().backward()
    return [y.detach()] + [x.grad for x in inputs if x.is_floating_point()]


def _filled(torch, module):
    """The module with weights that do not come from a random stream."""
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(_values(torch, *p.shape, step=11 + 2 * i) * 0.5)
    return module


def case_resizing(torch):
    F = torch.nn.functional
    x = _values(torch, 1, 2, 5, 4)
    return {
        "cubic": _both(torch, lambda x: F.interpolate(x, (7, 3), mode="bicubic"), x),
        "corners": _both(
            torch, lambda x: F.interpolate(x, (3, 6), mode="bicubic", align_corners=True), x
        ),
        "smoothed": _both(
            torch, lambda x: F.interpolate(x, (2, 3), mode="bilinear", antialias=True), x
        ),
        "smoothed cubic": _both(
            torch, lambda x: F.interpolate(x, (3, 2), mode="bicubic", antialias=True), x
        ),
    }


def case_grids(torch):
    F = torch.nn.functional
    x, grid = _values(torch, 1, 2, 4, 5), _values(torch, 1, 3, 3, 2, step=7) * 1.3 + 0.03
    found = {}
    for mode in ("bilinear", "nearest", "bicubic"):
        for border in ("zeros", "border", "reflection"):
            call = lambda x, g, m=mode, b=border: F.grid_sample(x, g, m, b, False)  # noqa: E731
            found[f"{mode} {border}"] = _both(torch, call, x, grid)
    theta = _values(torch, 1, 2, 3)
    found["affine"] = _both(torch, lambda t: F.affine_grid(t, (1, 1, 3, 4), True), theta)
    return found


def case_unpooling(torch):
    F = torch.nn.functional
    x = _values(torch, 2, 2, 6, 6)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    samples = torch.tensor([[[0.3, 0.8], [0.1, 0.5]], [[0.9, 0.2], [0.4, 0.6]]])

    def fractional(x):
        return F.fractional_max_pool2d(x, 2, (3, 4), _random_samples=samples)

    return {
        "unpool": _both(torch, lambda y: F.max_unpool2d(y, places, 2), y),
        "fractional": _both(torch, fractional, x),
        "powers": _both(torch, lambda x: F.lp_pool2d(x.abs() + 0.1, 3.0, 2), x),
        "adaptive": F.adaptive_max_pool2d(x, (4, 5), return_indices=True)[1],
        "wrong size": raised(lambda: F.max_unpool2d(y, places, 2, output_size=(9, 9)))[0],
    }


def case_bags(torch):
    F = torch.nn.functional
    weight = _values(torch, 6, 3)
    index, offsets = torch.tensor([1, 5, 0, 0, 3, 2]), torch.tensor([0, 2, 2, 5])
    found = {}
    for mode in ("sum", "mean", "max"):
        call = lambda w, m=mode: F.embedding_bag(index, w, offsets, mode=m, padding_idx=2)  # noqa: E731
        found[mode] = _both(torch, call, weight)
    found["frequency"] = _both(
        torch, lambda w: F.embedding(index, w, scale_grad_by_freq=True), weight
    )
    shortened = weight.clone()
    found["norm"] = [F.embedding(index, shortened, max_norm=0.5), shortened]
    return found


def case_sequences(torch):
    F = torch.nn.functional
    x = _values(torch, 7, 3, 5)
    labels = torch.tensor([[1, 2, 2], [3, 1, 0], [4, 4, 4]])
    lengths, counts = torch.tensor([7, 5, 7]), torch.tensor([3, 2, 3])
    found = {}
    for reduction in ("mean", "sum", "none"):
        found[reduction] = _both(
            torch,
            lambda x, r=reduction: F.ctc_loss(
                x.log_softmax(2), labels, lengths, counts, reduction=r
            ),
            x,
        )
    flat = torch.tensor([1, 2, 2, 3, 1, 4, 4, 4])
    found["flat"] = _both(
        torch, lambda x: F.ctc_loss(x.log_softmax(2), flat, lengths, counts), x
    )
    return found


def case_several_labels(torch):
    F = torch.nn.functional
    x = _values(torch, 3, 4)
    labels = torch.tensor([[3, 0, -1, 1], [1, -1, 0, 0], [0, 1, 2, 3]])
    return {
        "margin": _both(torch, lambda x: F.multilabel_margin_loss(x, labels), x),
        "soft": _both(
            torch, lambda x: F.multilabel_soft_margin_loss(x, (labels > 0).float()), x
        ),
        "linear": _both(
            torch,
            lambda x, w: F.linear_cross_entropy(x, w, torch.tensor([1, 0, 4])),
            x,
            _values(torch, 5, 4),
        ),
        "pairs": _both(torch, lambda x: F.pdist(x, 3.0), x + _values(torch, 3, 4, step=5)),
    }


def case_attention(torch):
    F = torch.nn.functional
    q, k, v = (_values(torch, 2, 2, n, 4, step=s) for n, s in ((3, 7), (5, 11), (5, 13)))
    mask = torch.tensor([[True, False, True, True, False], [False] * 5, [True] * 5])
    layer = _filled(torch, torch.nn.MultiheadAttention(4, 2, add_bias_kv=True))
    x = _values(torch, 3, 2, 4)
    padding = torch.tensor([[False, False, True], [False, True, False]])
    return {
        "plain": _both(torch, F.scaled_dot_product_attention, q, k, v),
        "masked": _both(
            torch, lambda *t: F.scaled_dot_product_attention(*t, attn_mask=mask), q, k, v
        ),
        "causal": _both(
            torch, lambda *t: F.scaled_dot_product_attention(*t, is_causal=True), q, k, v
        ),
        "heads": _both(torch, lambda x: layer(x, x, x, key_padding_mask=padding)[0], x),
        "weights": layer(x, x, x)[1],
    }


def case_recurrence(torch):
    nn = torch.nn
    x = _values(torch, 4, 2, 3)
    pack, pad = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
    found = {}
    for name in ("RNN", "GRU", "LSTM"):
        layer = _filled(torch, getattr(nn, name)(3, 2, num_layers=2, bidirectional=True))
        found[name] = _both(torch, lambda x, f=layer: f(x)[0], x)
        found[f"{name} packed"] = _both(
            torch, lambda x, f=layer: pad(f(pack(x, [4, 2]))[0])[0], x
        )
        found[f"{name} names"] = list(layer.state_dict())
        cell = _filled(torch, getattr(nn, f"{name}Cell")(3, 2))
        state = cell(x[0])
        found[f"{name} cell"] = list(state) if name == "LSTM" else state
    projected = _filled(torch, nn.LSTM(3, 4, proj_size=2, batch_first=True))
    found["projected"] = [repr(projected), *projected(x)[1]]
    return found


def case_transformers(torch):
    nn = torch.nn
    x = _values(torch, 3, 2, 4)
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0)
    both = _filled(torch, nn.Transformer(4, 2, 1, 1, 6, dropout=0.0, norm_first=True))
    return {
        "encoder": _both(torch, _filled(torch, layer), x),
        "both": _both(torch, lambda a, b: both(a, b), x, x.flip(0)),
        "text": repr(layer),
        "mask": nn.Transformer.generate_square_subsequent_mask(3),
    }


def case_lazy_layers(torch):
    nn = torch.nn
    linear, norm = nn.LazyLinear(2), nn.LazyBatchNorm1d()
    before = repr(linear)
    torch.manual_seed(3)
    y = norm(linear(_values(torch, 3, 4)))
    return [before, repr(linear), repr(norm), y.detach(), list(linear.state_dict())]


def case_default_weights(torch):
    torch.manual_seed(5)
    layers = [torch.nn.LSTM(2, 3), torch.nn.MultiheadAttention(4, 2), torch.nn.EmbeddingBag(3, 2)]
    return [p.detach() for layer in layers for p in layer.parameters()]


def case_optimizers(torch):
    o = torch.optim
    variants = {
        "Adadelta": {"weight_decay": 0.1}, "Adamax": {"maximize": True}, "NAdam": {},
        "RAdam": {"weight_decay": 0.1, "decoupled_weight_decay": True}, "ASGD": {"t0": 2},
        "Rprop": {}, "Adafactor": {"weight_decay": 0.1},
    }  # fmt: skip
    found = {}
    for name, options in variants.items():
        params = [torch.nn.Parameter(_values(torch, 2, 3)), torch.nn.Parameter(_values(torch, 2))]
        optimizer = getattr(o, name)(params, **options)
        for i in range(4):
            for p in params:
                p.grad = torch.sin(_values(torch, *p.shape) * (i + 1) * 3)
            optimizer.step()
        state = [list(own) for own in optimizer.state_dict()["state"].values()]
        found[name] = [[p.detach() for p in params], state]
    return found


def case_line_search(torch):
    found = []
    for search in (None, "strong_wolfe"):
        p = torch.nn.Parameter(_values(torch, 4).double())
        optimizer = torch.optim.LBFGS([p], lr=0.5, max_iter=5, line_search_fn=search)

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((p - 2) ** 2).sum() + (p**4).sum() * 0.1
            loss.backward()
            return loss

        losses = [float(optimizer.step(closure)) for _ in range(3)]
        found.append([losses, p.detach()])
    return found


def case_weight_norm_and_fusion(torch):
    nn = torch.nn
    x = _values(torch, 3, 4)
    layer = nn.utils.weight_norm(_filled(torch, nn.Linear(4, 2)))
    found = [list(layer.state_dict()), *_both(torch, layer, x), layer.weight_g, layer.weight_v.grad]
    nn.utils.remove_weight_norm(layer)
    found += [sorted(layer.state_dict()), layer.weight.detach()]
    conv, norm = _filled(torch, nn.Conv1d(2, 3, 2)).eval(), _filled(torch, nn.BatchNorm1d(3)).eval()
    fused = nn.utils.fuse_conv_bn_eval(conv, norm)
    return [*found, fused(_values(torch, 1, 2, 5))]
