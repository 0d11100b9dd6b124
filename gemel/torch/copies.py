"""Copies in the place of views: `foo_copy` gives what `foo` gives, in memory of its own; and
`foo_scatter` gives the whole tensor with new values where `foo` looks."""

from __future__ import annotations

from . import parts, strided, views
from .checks import dimension, wrong_argument
from .complex_numbers import view_as_complex, view_as_real
from .size import as_int
from .tensor import Tensor


# ---------- copies ----------
def _alias(input) -> Tensor:
    return input.view(input.form.shape)


def _method(name: str):
    def look(input, *args, **options):
        return getattr(input, name)(*args, **options)

    return look


def _narrow(input, dim, start, length) -> Tensor:
    """`narrow`, with the errors of the copying one."""
    shape, at, length = input.form.shape, as_int(dim), as_int(length)
    if shape and at >= len(shape):
        raise RuntimeError(
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false. "
            f"dim is {at}, the tensor has {len(shape)} dimensions"
        )
    if shape and length < 0:
        raise RuntimeError(
            f"start ({as_int(start)}) + length ({length}) exceeds dimension size "
            f"({shape[dimension(at, len(shape))]})."
        )
    return parts.narrow(input, at, start, length)


def _copying(name: str, look):
    def function(input, *args, **options):
        if not isinstance(input, Tensor):
            raise wrong_argument(name, "input", 1, input)
        seen = look(input, *args, **options)
        if isinstance(seen, tuple):
            return tuple(part.clone() for part in seen)
        return seen.clone()

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"As `{name.removesuffix('_copy')}`, in memory of its own."
    return function


alias_copy = _copying("alias_copy", _alias)
as_strided_copy = _copying("as_strided_copy", strided.as_strided)
detach_copy = _copying("detach_copy", lambda input: input.detach())
diagonal_copy = _copying("diagonal_copy", parts.diagonal)
expand_copy = _copying("expand_copy", _method("expand"))
narrow_copy = _copying("narrow_copy", _narrow)
permute_copy = _copying("permute_copy", views.permute)
select_copy = _copying("select_copy", parts.select)
slice_copy = _copying("slice_copy", parts.slice_part)
split_copy = _copying("split_copy", parts.split)
split_with_sizes_copy = _copying("split_with_sizes_copy", parts.split_with_sizes)
squeeze_copy = _copying("squeeze_copy", views.squeeze)
t_copy = _copying("t_copy", views.t)
transpose_copy = _copying("transpose_copy", views.transpose)
unbind_copy = _copying("unbind_copy", parts.unbind)
unfold_copy = _copying("unfold_copy", _method("unfold"))
unsqueeze_copy = _copying("unsqueeze_copy", views.unsqueeze)
view_as_complex_copy = _copying("view_as_complex_copy", view_as_complex)
view_as_real_copy = _copying("view_as_real_copy", view_as_real)
view_copy = _copying("view_copy", _method("view"))


# ---------- the whole with new values where the view looks ----------
def _scattering(name: str, look):
    def function(input, src, *args, **options) -> Tensor:
        made = input.clone()
        place = look(made, *args, **options)
        if place.form.shape != src.form.shape:
            raise RuntimeError(
                "expected src to have a size equal to the slice of self. src size = "
                f"{list(src.form.shape)}, slice size = {list(place.form.shape)}"
            )
        place.copy_(src)
        return made

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The input with the values of src where `{name.removesuffix('_scatter')}` looks."
    )
    return function


as_strided_scatter = _scattering("as_strided_scatter", strided.as_strided)
diagonal_scatter = _scattering("diagonal_scatter", parts.diagonal)
select_scatter = _scattering("select_scatter", parts.select)
slice_scatter = _scattering("slice_scatter", parts.slice_part)
