"""Ways to compute a contraction one of whose operands is bounded.

Role: the list of them, in the order in which they are asked; one that does not apply answers None.
A module of its own because programs without windows need none of these: they load faster without.
"""

from __future__ import annotations

from gemel.codegen.depthwise.by_columns import by_columns
from gemel.codegen.depthwise.by_rows import by_rows
from gemel.codegen.depthwise.direct import few_outputs
from gemel.codegen.depthwise.folded_gradient import folded_gradient
from gemel.codegen.depthwise.gradient_by_columns import gradient_by_columns
from gemel.codegen.depthwise.gradient_by_rows import gradient_by_rows
from gemel.codegen.weight_gradients.weight_gradient import weight_gradient
from gemel.codegen.windows.convolution import convolution
from gemel.codegen.windows.convolution_images import image_convolution
from gemel.codegen.windows.convolution_last import convolution_last
from gemel.codegen.windows.gathered import gathered
from gemel.codegen.windows.strided_gradient import strided_gradient

WAYS = (
    gradient_by_rows,
    weight_gradient,
    gradient_by_columns,
    folded_gradient,
    by_rows,
    by_columns,
    few_outputs,
    strided_gradient,
    convolution_last,
    image_convolution,
    convolution,
    gathered,
)
