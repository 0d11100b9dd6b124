"""Cases of `torch.amp`: which element type each operation has, scalers, nesting, own functions."""

from __future__ import annotations

import warnings

# name -> a call; values do not matter, the result's element type does
TYPES = {
    # products
    "mm": "torch.mm(m, m)",
    "matmul": "m @ m",
    "bmm": "torch.bmm(b, b)",
    "addmm": "torch.addmm(m, m, m)",
    "addbmm": "torch.addbmm(m, b, b)",
    "baddbmm": "torch.baddbmm(b, b, b)",
    "linear": "F.linear(m, m, v)",
    "conv1d": "F.conv1d(b, b)",
    "conv2d": "F.conv2d(i, i)",
    "conv3d": "F.conv3d(c, c)",
    "conv_transpose1d": "F.conv_transpose1d(b, b)",
    "conv_transpose2d": "F.conv_transpose2d(i, i)",
    "prelu": "F.prelu(m, v)",
    "attention": "F.scaled_dot_product_attention(b, b, b)",
    "vecdot": "torch.linalg.vecdot(m, m)",
    "einsum": "torch.einsum('ij,jk->ik', m, m)",
    "tensordot": "torch.tensordot(m, m, 1)",
    "mv": "torch.mv(m, v)",
    "dot": "torch.dot(v, v)",
    "outer": "torch.outer(v, v)",
    "inner": "torch.inner(m, m)",
    "addmv": "torch.addmv(v, m, v)",
    "chain_matmul": "torch.linalg.multi_dot([m, m, m])",
    "bilinear": "F.bilinear(m, m, b)",
    "method mm": "m.mm(m)",
    "method matmul": "m.matmul(m)",
    "linear layer": "torch.nn.Linear(4, 4)(m)",
    "conv layer": "torch.nn.Conv2d(4, 4, 3)(i)",
    "lstm": "torch.nn.LSTM(4, 4)(b.float())[0]",
    "gru cell": "torch.nn.GRUCell(4, 4)(m.float())",
    # losses and sums of many terms
    "mse_loss": "F.mse_loss(m, m)",
    "l1_loss": "F.l1_loss(m, m)",
    "smooth_l1_loss": "F.smooth_l1_loss(m, m)",
    "huber_loss": "F.huber_loss(m, m)",
    "nll_loss": "F.nll_loss(m, k)",
    "cross_entropy": "F.cross_entropy(m, k)",
    "binary_cross_entropy": "F.binary_cross_entropy(m, m)",
    "bce_with_logits": "F.binary_cross_entropy_with_logits(m, m)",
    "kl_div": "F.kl_div(m, m, reduction='sum')",
    "poisson_nll_loss": "F.poisson_nll_loss(m, m)",
    "soft_margin_loss": "F.soft_margin_loss(m, m)",
    "hinge_embedding_loss": "F.hinge_embedding_loss(m, m)",
    "margin_ranking_loss": "F.margin_ranking_loss(v, v, v)",
    "triplet_margin_loss": "F.triplet_margin_loss(m, m, m)",
    "cosine_embedding_loss": "F.cosine_embedding_loss(m, m, v)",
    "multi_margin_loss": "F.multi_margin_loss(m, k)",
    "multilabel_margin_loss": "F.multilabel_margin_loss(m, k4)",
    "ctc_loss": "F.ctc_loss(b.log_softmax(-1), k2, k, k)",
    "prod": "torch.prod(m)",
    "prod of an axis": "m.prod(0)",
    "cdist": "torch.cdist(m, m)",
    "quantile": "torch.quantile(m, 0.5)",
    "nanquantile": "torch.nanquantile(m, 0.5)",
    "trace": "torch.trace(m)",
    "fft": "torch.fft.fft(m).real",
    "rfft": "torch.fft.rfft(m).real",
    "cholesky": "torch.linalg.cholesky(e)",
    "inverse": "torch.linalg.inv(e)",
    "torch.inverse": "torch.inverse(e)",
    "pinverse": "torch.pinverse(e)",
    "qr": "torch.linalg.qr(e)[0]",
    "svdvals": "torch.linalg.svdvals(e)",
    "eigvalsh": "torch.linalg.eigvalsh(e)",
    "solve": "torch.linalg.solve(e, e)",
    "cond": "torch.linalg.cond(e)",
    "avg_pool3d": "F.avg_pool3d(c, 2)",
    "max_pool3d": "F.max_pool3d(c, 2)",
    "adaptive_avg_pool3d": "F.adaptive_avg_pool3d(c, 1)",
    "adaptive_max_pool3d": "F.adaptive_max_pool3d(c, 1)",
    "reflection_pad1d": "F.pad(b, (1, 1), mode='reflect')",
    "reflection_pad2d": "F.pad(i, (1, 1, 1, 1), mode='reflect')",
    "replication_pad1d": "F.pad(b, (1, 1), mode='replicate')",
    "replication_pad2d": "F.pad(i, (1, 1, 1, 1), mode='replicate')",
    "grid_sample": "F.grid_sample(i, i[..., :2], align_corners=False)",
    "polar": "torch.polar(m, m).real",
    "stft": "torch.stft(b[0], 4, return_complex=True, window=b[0, 0]).real",
    # one type for all operands
    "cat": "torch.cat([m, m])",
    "cat mixed": "torch.cat([m, m.float()])",
    "stack": "torch.stack([m, m])",
    "stack mixed": "torch.stack([m, m.float()])",
    # as they are given
    "relu": "F.relu(m)",
    "gelu": "F.gelu(m)",
    "softmax": "m.softmax(-1)",
    "log_softmax": "m.log_softmax(-1)",
    "sum": "m.sum()",
    "mean": "m.mean(0)",
    "exp": "m.exp()",
    "pow": "m ** 2",
    "norm": "torch.linalg.vector_norm(m)",
    "add": "m + m",
    "mul mixed": "m * m.float()",
    "layer_norm": "F.layer_norm(m, (4,))",
    "batch_norm": "F.batch_norm(i, None, None, training=True)",
    "group_norm": "F.group_norm(i, 2)",
    "max_pool2d": "F.max_pool2d(i, 2)",
    "avg_pool2d": "F.avg_pool2d(i, 2)",
    "adaptive_avg_pool2d": "F.adaptive_avg_pool2d(i, 1)",
    "interpolate": "F.interpolate(i, scale_factor=2)",
    "interpolate bilinear": "F.interpolate(i, scale_factor=2, mode='bilinear')",
    "embedding": "F.embedding(k, m)",
    "cumsum": "m.cumsum(0)",
    "constant_pad": "F.pad(m, (1, 1))",
    "std": "m.std()",
    "dropout": "F.dropout(m, 0.5)",
    "where": "torch.where(m > 0, m, m.float())",
    "double mm": "torch.mm(m.double(), m.double())",
    "integer sum": "k.sum()",
}


def operands(torch, dtype):
    """What the cases name: a matrix, a vector, batches, images, volumes, labels."""
    m = torch.full((4, 4), 0.5)
    e = torch.eye(4) * 2
    made = {
        "m": m, "v": m[0], "b": torch.full((4, 4, 4), 0.5), "i": torch.full((4, 4, 4, 4), 0.5),
        "c": torch.full((4, 4, 4, 4, 4), 0.5), "e": e,
    }  # fmt: skip
    made = {name: x.to(dtype) for name, x in made.items()}
    k = torch.tensor([0, 1, 2, 3])
    whole = {"k": k, "k4": torch.stack([k] * 4), "k2": torch.ones((4, 3), dtype=torch.int64)}
    return {**made, **whole, "torch": torch, "F": torch.nn.functional}


def outcome(torch, source: str, dtype) -> str:
    """The result's type, or the kind of error."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return str(eval(source, operands(torch, dtype)).dtype)
    except Exception as error:
        return type(error).__name__


def case_types_of_float32(torch):
    return {name: outcome(torch, source, torch.float32) for name, source in TYPES.items()}


def case_types_of_bfloat16(torch):
    return {name: outcome(torch, source, torch.bfloat16) for name, source in TYPES.items()}


# ---------- the mode ----------
def case_nesting(torch):
    m = torch.ones(2, 2)
    found = []

    def note():
        found.append([torch.is_autocast_enabled("cpu"), str((m @ m).dtype)])

    note()
    with torch.autocast("cpu"):
        note()
        with torch.autocast("cpu", enabled=False):
            note()
            with torch.amp.autocast("cpu", dtype=torch.float16):
                note()
        note()
    note()
    return found


def case_decorator(torch):
    @torch.autocast(device_type="cpu", dtype=torch.bfloat16)
    def product(a):
        return a @ a

    m = torch.ones(2, 2)
    return [str(product(m).dtype), product.__name__, str((m @ m).dtype)]


def case_left_by_an_error(torch):
    try:
        with torch.autocast("cpu"):
            raise KeyError("x")
    except KeyError:
        return torch.is_autocast_enabled("cpu")


def case_settings(torch):
    found = [torch.is_autocast_enabled(), str(torch.get_autocast_dtype("cpu"))]
    found += [str(torch.get_autocast_dtype("cuda")), torch.is_autocast_cache_enabled()]
    with torch.autocast("cpu", dtype=torch.float16, cache_enabled=False):
        found += [str(torch.get_autocast_dtype("cpu")), torch.is_autocast_cache_enabled()]
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    found.append(str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype))
    torch.set_autocast_enabled("cpu", False)
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    return [*found, torch.amp.is_autocast_available("cpu")]


def case_what_cannot_be(torch):
    found = []
    for given in (lambda: torch.autocast(3), lambda: torch.autocast("tea")):
        try:
            given()
        except Exception as error:
            found.append(type(error).__name__)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for device, dtype in (("cpu", torch.float64), ("cuda", None)):
            with torch.autocast(device, dtype=dtype):
                found.append(torch.is_autocast_enabled(device))
    return [*found, [str(w.message) for w in said]]


def case_older_names(torch):
    m = torch.ones(2, 2)
    with torch.cpu.amp.autocast():
        return str((m @ m).dtype)


def case_no_grad_inside(torch):
    m = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu"):
        with torch.no_grad():
            a = m @ m
        b = m @ m
    with torch.no_grad(), torch.autocast("cpu"):
        c = m @ m
    return [[str(x.dtype), x.requires_grad] for x in (a, b, c)]


def case_custom_function(torch):
    class Scaled(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            seen.append([str(x.dtype), torch.is_autocast_enabled("cpu")])
            return x @ w

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            seen.append([str(g.dtype), torch.is_autocast_enabled("cpu")])
            return g @ w.t(), x.t() @ g

    seen: list = []
    x = torch.ones(2, 2, dtype=torch.bfloat16).requires_grad_()
    w = torch.full((2, 2), 0.5, requires_grad=True)
    with torch.autocast("cpu"):
        y = Scaled.apply(x, w)
    y.sum().backward()
    return [seen, str(y.dtype), w.grad.tolist(), str(w.grad.dtype), str(x.grad.dtype)]


# ---------- training ----------
def _data(torch):
    x = torch.linspace(-1, 1, 48).reshape(16, 3)
    return x, (x.sum(1, keepdim=True) * 0.5).sin()


def _model(torch):
    nn = torch.nn
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.linspace(-0.5, 0.5, p.numel()).reshape(p.shape))
    return model


def _rounded(value: float) -> float:
    """Two digits: products of bfloat16 differ in the order of additions."""
    return float(f"{value:.2g}")


def case_training_in_bfloat16(torch):
    x, y = _data(torch)
    model = _model(torch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = []
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu"):
            out = model(x)
            loss = torch.nn.functional.mse_loss(out, y)
        loss.backward()
        optimizer.step()
        found.append(_rounded(loss.item()))
    grads = [str(p.grad.dtype) for p in model.parameters()]
    return [found, str(out.dtype), str(loss.dtype), grads]


# ---------- the scaler ----------
def _scaled_steps(torch, optimizer_of, bad: tuple, steps: int = 8, **settings):
    x, y = _data(torch)
    model = _model(torch)
    optimizer = optimizer_of(model.parameters())
    scaler = torch.amp.GradScaler("cpu", growth_interval=2, init_scale=1024.0, **settings)
    found = []
    for i in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        scaler.scale(loss * float("inf") if i in bad else loss).backward()
        scaler.step(optimizer)
        scaler.update()
        found.append([scaler.get_scale(), float(f"{loss.item():.4g}")])
    return [found, scaler.state_dict(), sum(p.sum().item() for p in model.parameters())]


def case_scaler_with_sgd(torch):
    return _scaled_steps(torch, lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9), (3, 4))


def case_scaler_with_adam(torch):
    return _scaled_steps(torch, lambda ps: torch.optim.Adam(ps, 0.05), (0, 2, 5))


def case_scaler_with_other_factors(torch):
    settings = {"growth_factor": 3.0, "backoff_factor": 0.25}
    return _scaled_steps(torch, lambda ps: torch.optim.AdamW(ps, 0.05), (1,), **settings)


def case_scaler_that_is_off(torch):
    return _scaled_steps(torch, lambda ps: torch.optim.SGD(ps, 0.1), (), enabled=False)


def case_scaler_and_a_user_s_optimizer(torch):
    class Plain(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad

    return _scaled_steps(torch, Plain, (2,))


def case_scaler_with_clipping(torch):
    x, y = _data(torch)
    model = _model(torch)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(3):
        optimizer.zero_grad()
        scaler.scale(torch.nn.functional.mse_loss(model(x), y)).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
    return [norm.item(), [p.sum().item() for p in model.parameters()]]


def case_scaler_in_the_wrong_order(torch):
    found = []

    def note(function):
        try:
            function()
            found.append("nothing")
        except Exception as error:
            found.append([type(error).__name__, str(error)])

    p = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([p], 0.1)
    scaler = torch.amp.GradScaler("cpu")
    note(lambda: scaler.step(optimizer))
    note(scaler.update)
    scaler.scale(p.sum()).backward()
    note(scaler.update)
    scaler.unscale_(optimizer)
    note(lambda: scaler.unscale_(optimizer))
    scaler.step(optimizer)
    note(lambda: scaler.step(optimizer))
    note(lambda: scaler.unscale_(optimizer))
    scaler.update()
    note(lambda: scaler.load_state_dict({}))
    return found


def case_scaler_of_several_losses(torch):
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    a, (b,) = scaler.scale([torch.ones(2), (torch.full((1,), 3.0),)])
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0, "_growth_tracker": 7})
    return [a.tolist(), b.tolist(), scaler.state_dict()]
