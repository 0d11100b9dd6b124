"""Factorisations and solutions of the PyTorch face: against NumPy and finite differences, and,
where PyTorch is installed, against PyTorch."""

import numpy as np
import pytest

import gemel.torch as torch
from gemel.passes.compile import device

linalg = torch.linalg
KINDS = ["float64", "complex128"]


def matrix(*shape, kind="float64", seed=0):
    rng = np.random.default_rng(seed + sum(shape))
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind == "complex128" else x


def adjoint(x):
    return np.swapaxes(x, -1, -2).conj()


def positive(n, *lead, kind="float64"):
    x = matrix(*lead, n, n, kind=kind)
    return x @ adjoint(x) + n * np.eye(n)


def close(found, wanted, tol=1e-9):
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=tol, atol=tol)


# ---------- values ----------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (0,)])
def test_systems(kind, lead):
    a, b = matrix(*lead, 4, 4, kind=kind), matrix(*lead, 4, 3, kind=kind)
    x = torch.tensor(a)
    close(linalg.inv(x), np.linalg.inv(a))
    close(linalg.solve(x, torch.tensor(b)), np.linalg.solve(a, b))
    close(linalg.solve(x, torch.tensor(adjoint(b)), left=False) @ x, adjoint(b))
    close(linalg.det(x), np.linalg.det(a))
    for found, wanted in zip(linalg.slogdet(x), np.linalg.slogdet(a), strict=True):
        close(found, wanted)
    spd = positive(4, *lead, kind=kind)
    lower = linalg.cholesky(torch.tensor(spd))
    close(lower, np.linalg.cholesky(spd))
    close(linalg.cholesky(torch.tensor(spd), upper=True), adjoint(np.linalg.cholesky(spd)))
    close(torch.cholesky_solve(torch.tensor(b), lower), np.linalg.solve(spd, b))
    close(torch.cholesky_inverse(lower), np.linalg.inv(spd))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("n", [1, 5, 60])
def test_triangular_systems(kind, upper, unit, n):
    a = matrix(2, n, n, kind=kind) / n + 2 * np.eye(n)
    b = matrix(2, n, 3, kind=kind)
    used = np.triu(a) if upper else np.tril(a)
    if unit:
        used = used - np.eye(n) * used + np.eye(n)
    x = linalg.solve_triangular(torch.tensor(a), torch.tensor(b), upper=upper, unitriangular=unit)
    close(x, np.linalg.solve(used, b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 5), (2, 5, 3), (3, 0, 0), (40, 50)])
def test_lower_and_upper_factors(kind, shape):
    a = matrix(*shape, kind=kind)
    p, low, up = linalg.lu(torch.tensor(a))
    close(p @ low @ up, a)
    data, pivots = linalg.lu_factor(torch.tensor(a))
    for one, other in zip(torch.lu_unpack(data, pivots), (p, low, up), strict=True):
        close(one, other.numpy())
    if shape[-1] == shape[-2] and shape[-1]:
        b = matrix(*shape[:-1], 2, kind=kind)
        close(linalg.lu_solve(data, pivots, torch.tensor(b)), np.linalg.solve(a, b))
        found = linalg.lu_solve(data, pivots, torch.tensor(b), adjoint=True)
        close(found, np.linalg.solve(adjoint(a), b))


@pytest.mark.parametrize("kind", KINDS)
def test_symmetric_factors(kind):
    a = matrix(3, 6, 6, kind=kind)
    for hermitian in (False, True):
        whole = a + (adjoint(a) if hermitian else np.swapaxes(a, -1, -2))
        b = matrix(3, 6, 2, kind=kind)
        factors, pivots = linalg.ldl_factor(torch.tensor(whole), hermitian=hermitian)
        x = linalg.ldl_solve(factors, pivots, torch.tensor(b), hermitian=hermitian)
        close(x, np.linalg.solve(whole, b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 3), (2, 3, 5), (0, 3), (2, 3, 0)])
def test_orthogonal_factors_and_values(kind, shape):
    a = matrix(*shape, kind=kind)
    x = torch.tensor(a)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(x, mode)
        close(q @ r, a)
        close(q.mH @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2)))
    u, s, vh = linalg.svd(x, full_matrices=False)
    close((u * s.unsqueeze(-2)) @ vh, a)
    close(linalg.svdvals(x), np.linalg.svd(a, compute_uv=False))
    close(linalg.pinv(x), np.linalg.pinv(a))
    assert linalg.matrix_rank(x).tolist() == np.linalg.matrix_rank(a).tolist()
    h, tau = torch.geqrf(x)
    if shape[-2] >= shape[-1]:
        close(linalg.householder_product(h, tau), linalg.qr(x).Q.numpy())
    if a.size:
        other = matrix(*shape[:-1], 2, kind=kind)
        full = torch.tensor(np.linalg.qr(a, "complete")[0])
        close(torch.ormqr(h, tau, torch.tensor(other)), (full @ torch.tensor(other)).numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues(kind):
    a = matrix(3, 4, 4, kind=kind)
    symmetric = a + adjoint(a)
    for uplo in "LU":
        w, v = linalg.eigh(torch.tensor(symmetric), uplo)
        close(w, np.linalg.eigvalsh(symmetric))
        close((v * w.unsqueeze(-2).to(v.dtype)) @ v.mH, symmetric)
        close(linalg.eigvalsh(torch.tensor(symmetric), uplo), np.linalg.eigvalsh(symmetric))
    w, v = linalg.eig(torch.tensor(a))
    close(torch.tensor(a).to(torch.complex128) @ v, (v * w.unsqueeze(-2)).numpy())
    close(linalg.eigvals(torch.tensor(a)), w.numpy())


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")])
def test_norms_and_conditions(order):
    a = matrix(3, 4, 4)
    x = torch.tensor(a)
    close(linalg.matrix_norm(x, order), np.linalg.norm(a, order, (-2, -1)))
    kept = linalg.matrix_norm(x, order, (0, 2), keepdim=True)
    close(kept, np.linalg.norm(a, order, (0, 2), keepdims=True))
    close(linalg.cond(x, order), np.linalg.cond(a, order))


def test_functions_of_matrices():
    a = matrix(2, 3, 3)
    x = torch.tensor(a)
    w, v = np.linalg.eig(a)
    close(linalg.matrix_exp(x), ((v * np.exp(w)[:, None]) @ np.linalg.inv(v)).real)
    for n in (-2, 0, 1, 5):
        close(linalg.matrix_power(x, n), np.linalg.matrix_power(a, n))
    chain = [matrix(*s) for s in ((3,), (3, 5), (5, 2), (2,))]
    close(linalg.multi_dot([torch.tensor(m) for m in chain]), np.linalg.multi_dot(chain))
    t = matrix(2, 3, 6)
    close(linalg.tensorinv(torch.tensor(t)), np.linalg.tensorinv(t, 2))
    close(linalg.tensorsolve(torch.tensor(t), torch.ones(2, 3, dtype=torch.float64)),
          np.linalg.tensorsolve(t, np.ones((2, 3))))  # fmt: skip
    close(linalg.vander(torch.tensor([1.0, 2.0, 3.0]), N=4), np.vander([1, 2, 3], 4, True))
    tall = matrix(5, 3)
    b = matrix(5, 2)
    found = linalg.lstsq(torch.tensor(tall), torch.tensor(b))
    close(found.solution, np.linalg.lstsq(tall, b, rcond=None)[0])
    assert found.rank.item() == 3


def test_the_reference_device_agrees():
    a = matrix(2, 4, 4)
    with device("reference"):
        close(linalg.inv(torch.tensor(a)), np.linalg.inv(a))
        close(linalg.svdvals(torch.tensor(a)), np.linalg.svd(a, compute_uv=False))


# ---------- gradients, and gradients of gradients ----------
def spd(x):
    n = x.shape[-1]
    return x @ x.mH + n * torch.eye(n, dtype=x.dtype)


def square_of(x):
    return (x * x.conj()).real


GRADIENTS = {
    "inv": (linalg.inv, (3, 3)),
    "solve": (lambda x: linalg.solve(x, (x * x)[..., :2]), (3, 3)),
    "solve right": (lambda x: linalg.solve(x, (x * x)[..., :2, :], left=False), (2, 3, 3)),
    "triangular": (
        lambda x: linalg.solve_triangular(x + 3 * torch.eye(3), x[..., :2], upper=True),
        (3, 3),
    ),
    "det": (linalg.det, (3, 3)),
    "slogdet": (lambda x: linalg.slogdet(x)[1], (2, 3, 3)),
    "cholesky": (lambda x: linalg.cholesky(spd(x)), (3, 3)),
    "cholesky upper": (lambda x: linalg.cholesky(spd(x), upper=True), (3, 3)),
    "cholesky_solve": (lambda x: torch.cholesky_solve(x, linalg.cholesky(spd(x))), (3, 3)),
    "lu": (lambda x: torch.cat([v.reshape(-1) for v in linalg.lu(x)[1:]]), (3, 3)),
    "lu wide": (lambda x: torch.cat([v.reshape(-1) for v in linalg.lu(x)[1:]]), (2, 4)),
    "lu tall": (lambda x: torch.cat([v.reshape(-1) for v in linalg.lu(x)[1:]]), (4, 2)),
    "qr": (lambda x: torch.cat([v.reshape(-1) for v in linalg.qr(x)]), (4, 3)),
    "qr wide": (lambda x: torch.cat([v.reshape(-1) for v in linalg.qr(x)]), (3, 4)),
    "svd": (lambda x: torch.cat([square_of(linalg.svd(x, False).U), x.real]), (3, 3)),
    "svd wide": (lambda x: square_of(linalg.svd(x, False).Vh), (2, 4)),
    "svdvals": (linalg.svdvals, (4, 3)),
    "eigh": (lambda x: square_of(linalg.eigh(spd(x)).eigenvectors), (3, 3)),
    "eigvalsh": (lambda x: linalg.eigvalsh(spd(x)), (3, 3)),
    "eig": (lambda x: square_of(linalg.eig(x).eigenvectors), (3, 3)),
    "eigvals": (lambda x: square_of(linalg.eigvals(x)), (3, 3)),
    "pinv": (linalg.pinv, (4, 2)),
    "pinv wide": (linalg.pinv, (2, 4)),
    "matrix_exp": (linalg.matrix_exp, (3, 3)),
    "householder": (lambda x: linalg.householder_product(x, x[0, :2]), (4, 3)),
    "nuclear norm": (lambda x: linalg.matrix_norm(x, "nuc"), (3, 3)),
}


def weighted(x):
    """One real number that all values count in."""
    flat = x.reshape(-1)
    weights = torch.arange(1.0, flat.shape[0] + 1, dtype=torch.float64).sqrt()
    if flat.is_complex():
        return (flat.real * weights).sum() + (flat.imag * weights.flip(0)).sum()
    return (flat * weights).sum()


def slope(f, a, direction, step):
    """The derivative in a direction by central differences."""
    ends = [f(torch.tensor(a + sign * step * direction)).item() for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name, kind):
    f, shape = GRADIENTS[name]
    if kind == "complex128" and name == "triangular":
        pytest.skip("the row has a real summand")
    a = matrix(*shape, kind=kind, seed=3)
    direction = matrix(*shape, kind=kind, seed=9)

    def value(x):
        return weighted(f(x))

    def derivative(x):
        x.requires_grad_()
        (g,) = torch.autograd.grad(value(x), x, create_graph=True)
        return weighted(g * torch.tensor(direction).conj())

    def along(g):
        return (g.numpy() * direction.conj()).sum().real

    x = torch.tensor(a, requires_grad=True)
    (first,) = torch.autograd.grad(value(x), x, create_graph=True)
    np.testing.assert_allclose(along(first.detach()), slope(value, a, direction, 1e-6), rtol=2e-6)
    (second,) = torch.autograd.grad(weighted(first * torch.tensor(direction).conj()), x)
    wanted = slope(derivative, a, direction, 1e-5)
    np.testing.assert_allclose(along(second), wanted, rtol=2e-5, atol=1e-6)


# ---------- errors ----------
SINGULAR = np.diag([1.0, 0.0, 2.0])
BAD = [
    (lambda: linalg.inv(torch.tensor(SINGULAR)), "linalg.inv: The diagonal element 2 is zero"),
    (lambda: linalg.inv(torch.tensor(np.stack([np.eye(3), SINGULAR]))), "Batch element 1"),
    (lambda: linalg.solve(torch.tensor(SINGULAR), torch.ones(3, 1, dtype=torch.float64)),
     "linalg.solve: The solver failed because the input matrix is singular"),
    (lambda: linalg.cholesky(torch.tensor(-np.eye(2))), "the leading minor of order 1 is not"),
    (lambda: linalg.lu_factor(torch.tensor(SINGULAR))[0], r"U\[2,2\] is zero"),
]  # fmt: skip


@pytest.mark.parametrize("run,words", BAD, ids=[words for _, words in BAD])
def test_values_that_an_algorithm_fails_for(run, words):
    with pytest.raises(linalg.LinAlgError, match=words):
        run().numpy()


def test_numbers_tell_what_went_wrong():
    stack = torch.tensor(np.stack([np.eye(3), SINGULAR]))
    assert linalg.inv_ex(stack).info.tolist() == [0, 2]
    assert linalg.cholesky_ex(-stack).info.tolist() == [1, 1]
    assert linalg.lu_factor_ex(stack).info.tolist() == [0, 2]
    assert linalg.solve_ex(stack, stack).info.tolist() == [0, 2]


FORMS = [
    (lambda: linalg.inv(torch.ones(2, 3)), "must be batches of square matrices"),
    (lambda: linalg.inv(torch.ones(3)), "at least 2 dimensions"),
    (lambda: linalg.inv(torch.ones(2, 2, dtype=torch.int64)), "floating point or complex"),
    (lambda: linalg.solve(torch.ones(2, 2), torch.ones(3, 1)), "Incompatible shapes of A and B"),
    (lambda: linalg.qr(torch.ones(2, 2), "raw"), "unrecognized mode"),
    (lambda: linalg.eigh(torch.ones(2, 2), "X"), "Expected UPLO argument"),
    (lambda: linalg.matrix_norm(torch.ones(2, 2), 3), "Order 3 not supported"),
    (lambda: linalg.cross(torch.ones(2), torch.ones(2)), "must have length 3"),
]


@pytest.mark.parametrize("run,words", FORMS, ids=[words for _, words in FORMS])
def test_forms_that_do_not_fit(run, words):
    with pytest.raises(RuntimeError, match=words):
        run()


# ---------- PyTorch itself ----------
ROWS = """
linalg.lu_factor(a)
linalg.ldl_factor(a + a.mT)
linalg.eigvalsh(a, UPLO="U")
linalg.lstsq(tall, tall[:, :1], driver="gelsd")
linalg.lstsq(tall.mT, tall.mT[:, :2], driver="gels")
linalg.matrix_rank(a, atol=1.0, rtol=0.1)
linalg.pinv(a, atol=1.5)
linalg.pinv(a, hermitian=True)
linalg.vecdot(a, a, dim=0)
linalg.svdvals(stack)
linalg.cond(stack, "fro")
torch.logdet(a)
torch.triangular_solve(a[:, :2], a, upper=False, transpose=True)
torch.addbmm(a[:, :3], stack, stack[:, :, :3], beta=0.5, alpha=2)
torch.lu(stack, get_infos=True)
torch.svd(tall, compute_uv=False)
torch.stft(wave, 16, hop_length=4, window=torch.hann_window(16).double(), return_complex=True)
torch.istft(torch.stft(wave, 16, return_complex=True), 16)
torch.kaiser_window(7, True, 3.0)
torch.signal.windows.nuttall(9, sym=False)
torch.signal.windows.exponential(6, tau=2.0)
torch.signal.windows.general_cosine(6, a=[0.46, 0.23, 0.31])
""".strip().splitlines()


@pytest.mark.oracle
@pytest.mark.parametrize("row", ROWS)
def test_rows_against_pytorch(row):
    original = pytest.importorskip("torch")
    data = {"a": matrix(4, 4), "tall": matrix(5, 3), "stack": matrix(3, 4, 4), "wave": matrix(64)}

    def told(face):
        names = {k: face.tensor(v) for k, v in data.items()}
        found = eval(row, {"torch": face, "linalg": face.linalg, **names})
        return found if isinstance(found, tuple) else (found,)

    for own, theirs in zip(told(torch), told(original), strict=True):
        assert tuple(own.shape) == tuple(theirs.shape)
        assert str(own.dtype) == str(theirs.dtype)
        np.testing.assert_allclose(own.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


# ---------- some eigenvalues ----------
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_extreme_eigenvalues(lead, largest):
    a = positive(15, *lead)
    torch.manual_seed(0)
    start = torch.randn(*lead, 15, 3, dtype=torch.float64)
    e, v = torch.lobpcg(torch.tensor(a), 2, X=start, largest=largest, tol=1e-12)
    values, vectors = np.linalg.eigh(a)
    best = [-1, -2] if largest else [0, 1]
    close(e, values[..., best])
    sign = np.sign((v.numpy() * vectors[..., best]).sum(-2, keepdims=True))
    close(v, vectors[..., best] * sign, 1e-6)


def test_extreme_eigenvalues_with_a_weight_and_a_preconditioner():
    a, b = positive(12), positive(12) / 12 + np.eye(12)
    start = torch.tensor(matrix(12, 2))
    inverse = torch.tensor(np.linalg.inv(a))
    given = torch.tensor(a), torch.tensor(b)
    e, v = torch.lobpcg(given[0], 2, given[1], start, iK=inverse, largest=False, tol=1e-12)
    close(given[0] @ v, given[1].numpy() @ v.numpy() * e.numpy(), 1e-8)
    close(v.mT @ given[1] @ v, np.eye(2))


def test_extreme_eigenvalues_have_gradients():
    """Those of the whole decomposition, which asks nothing of the way there."""
    a = torch.tensor(positive(9), requires_grad=True)
    start, weight = torch.tensor(matrix(9, 2)), torch.tensor(matrix(9, 2, seed=1))
    e, v = torch.lobpcg((a + a.mT) / 2, 2, X=start, tol=1e-14)
    values, vectors = linalg.eigh(a)
    vectors = vectors[:, [-1, -2]]
    turned = vectors * (vectors * v).sum(0).sign().detach()
    found, wanted = (
        torch.autograd.grad((e * y * weight).sum(), a, create_graph=True)[0]
        for e, y in ((e, v), (values[[-1, -2]], turned))
    )
    close((found + found.mT) / 2, ((wanted + wanted.mT) / 2).detach().numpy(), 1e-8)
    again = [torch.autograd.grad((g * g).sum(), a)[0] for g in (found, (wanted + wanted.mT) / 2)]
    close(again[0], ((again[1] + again[1].mT) / 2).detach().numpy(), 1e-6)


def test_extreme_eigenvalues_need_enough_rows():
    with pytest.raises(ValueError, match="not applicable"):
        torch.lobpcg(torch.tensor(positive(5)), 2)
    with pytest.raises(NotImplementedError, match="niter=1"):
        torch.lobpcg(torch.tensor(positive(9)), 2, tracker=print)
