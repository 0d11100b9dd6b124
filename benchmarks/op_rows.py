"""The operations that programs use most, as functions of a face and its tensors.

A row is (name, function(torch, x, y) -> tensor, needs). x and y have n elements, as matrices of 64
columns where n allows. The same function runs on both faces. needs: "" for any numbers, "positive"
or "bool" for what x holds. A result of x's form is x of the next of the 20 calls.
"""

UNARY = """
abs neg sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh
tanh asin acos atan asinh acosh atanh sigmoid erf erfc floor ceil round trunc frac relu isnan isinf
isfinite logical_not clone ones_like zeros_like nan_to_num sgn logit lgamma digamma i0 sinc positive
deg2rad rad2deg signbit
"""
POSITIVE = {"sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "log1p", "lgamma", "digamma",
            "acosh", "logit"}  # fmt: skip
BINARY = """
add sub mul div maximum minimum pow atan2 fmod remainder fmax fmin hypot copysign logaddexp eq ne lt
le gt ge logical_and logical_or logical_xor xlogy dist heaviside floor_divide
"""
REDUCTION = """
sum mean prod amax amin max min std var norm argmax argmin all any logsumexp count_nonzero median
nansum nanmean
"""
ALONG = "sum mean prod amax amin std var argmax argmin logsumexp cumsum cumprod sort"
ACTIVATION = """
gelu silu elu selu leaky_relu softplus hardtanh hardswish hardsigmoid mish celu logsigmoid relu6
softsign tanhshrink softshrink hardshrink
"""
NUMBER = {"add 2": "x + 2.0", "mul 2": "x * 0.5", "pow 2": "x ** 2", "rsub": "1.0 - x",
          "div 3": "x / 3.0", "rdiv": "1.0 / (x + 2.0)", "lt 0": "x < 0", "addcmul":
          "torch.addcmul(x, x, y, value=0.5)", "addcdiv": "torch.addcdiv(x, x, y + 3.0)", "lerp":
          "torch.lerp(x, y, 0.3)", "clamp": "x.clamp(-0.5, 0.5)", "where":
          "torch.where(x > 0, x, y)",
          "masked_fill": "x.masked_fill(x > 0, 0.5)", "threshold": "F.threshold(x, 0.1, 0.0)",
          "float to int": "x.int()", "float to double": "x.double()", "int to float":
          "x.int().float()", "float to half": "x.half().float()",
          "bool to float": "(x > 0).float()"}  # fmt: skip
SHAPES = {"t": "x.t().contiguous()", "reshape": "x.reshape(-1) + 0", "flatten": "x.flatten() * 1",
          "permute": "x.permute(1, 0).contiguous()", "cat": "torch.cat([x, y])", "cat 1":
          "torch.cat([x, y], 1)", "stack": "torch.stack([x, y])", "chunk": "x.chunk(2, 1)[1] + 0",
          "split": "x.split(4, 1)[1] + 0", "slice": "x[:, 1:7] + 0", "step": "x[::2] + 0",
          "select": "x[:, 3] + 0", "unsqueeze": "x.unsqueeze(1) + y", "expand":
          "x[:, :1].expand_as(x) + 0", "repeat": "x.repeat(2, 1)", "flip": "x.flip(0)", "roll":
          "x.roll(1, 0)", "tril": "x.tril()", "triu": "x.triu()", "diagonal": "x.diagonal() + 0",
          "pad": "F.pad(x, (1, 1))", "narrow": "x.narrow(1, 2, 4) + 0", "unbind":
          "x.unbind(1)[2] + 0", "tile": "x.tile((1, 2))", "broadcast row": "x + y[:1]",
          "broadcast column": "x + y[:, :1]", "outer row": "x * y[0]", "movedim":
          "x.movedim(0, 1).contiguous()", "full_like": "torch.full_like(x, 3.0)", "empty fill":
          "torch.empty_like(x).fill_(1.0)"}  # fmt: skip
PLACES = {"index_select": "x.index_select(0, rows)", "gather": "x.gather(1, columns)", "take rows":
          "x[rows]", "scatter": "x.scatter(1, columns, y)", "scatter_add":
          "x.scatter_add(1, columns, y)", "index_add": "x.index_add(0, rows, y)", "embedding":
          "F.embedding(rows, x)", "masked_select": "x[x > 0]", "topk": "x.topk(5, 1)[0]",
          "argsort": "x.argsort(1)",
          "one_hot": "F.one_hot(rows % 16, 16)", "nonzero": "(x > 0).nonzero()",
          "put": "x.index_fill(0, rows, 0.5)",
          "searchsorted": "torch.searchsorted(y[0].contiguous(), x)", "bincount":
          "torch.bincount(rows)", "unique": "rows.unique()"}  # fmt: skip
LAYERS = {"softmax": "F.softmax(x, 1)", "log_softmax": "F.log_softmax(x, 1)", "softmin":
          "F.softmin(x, 1)", "layer_norm": "F.layer_norm(x, (x.shape[1],))", "normalize":
          "F.normalize(x)", "dropout": "F.dropout(x, 0.5)", "linear": "F.linear(x, square)",
          "matmul": "x @ square", "addmm": "torch.addmm(y, x, square)", "mse_loss":
          "F.mse_loss(x, y)", "l1_loss": "F.l1_loss(x, y)", "smooth_l1_loss":
          "F.smooth_l1_loss(x, y)", "huber_loss": "F.huber_loss(x, y)", "cross_entropy":
          "F.cross_entropy(x, classes)", "nll_loss": "F.nll_loss(x, classes)", "bce with logits":
          "F.binary_cross_entropy_with_logits(x, (y > 0).float())", "kl_div":
          "F.kl_div(x, y.abs(), reduction='batchmean')", "cosine_similarity":
          "F.cosine_similarity(x, y)", "pairwise_distance": "F.pairwise_distance(x, y)", "glu":
          "F.glu(x)", "prelu": "F.prelu(x, square[0, :1])", "avg_pool1d":
          "F.avg_pool1d(x.unsqueeze(0), 2)", "max_pool1d": "F.max_pool1d(x.unsqueeze(0), 2)",
          "batch_norm": "F.batch_norm(x, None, None, training=True)", "group_norm":
          "F.group_norm(x, 4)", "einsum": "torch.einsum('ij,jk->ik', x, square)", "mv":
          "x @ square[0]", "dot": "x.flatten() @ y.flatten()", "bmm":
          "torch.bmm(x.unsqueeze(0), square.unsqueeze(0))", "diff": "x.diff()", "cdist small":
          "torch.cdist(x[:8], y[:8])"}  # fmt: skip


def rows() -> list[tuple[str, str, str]]:
    """(name, expression, needs) of every row."""
    found = []
    for name in UNARY.split():
        needs = "positive" if name in POSITIVE else ""
        found.append((name, f"torch.{name}(x)", needs))
    found += [(name, f"torch.{name}(x, y)", "positive" if name == "pow" else "")
              for name in BINARY.split()]  # fmt: skip
    found += [(name, f"torch.{name}(x)", "bool" if name in ("all", "any") else "")
              for name in REDUCTION.split() if name != "logsumexp"]  # fmt: skip
    found += [(f"{name} 1", f"_first(torch.{name}(x, 1))", "") for name in ALONG.split()]
    found += [(name, f"F.{name}(x)", "") for name in ACTIVATION.split()]
    for table in (NUMBER, SHAPES, PLACES, LAYERS):
        found += [(name, expression, "") for name, expression in table.items()]
    return found
