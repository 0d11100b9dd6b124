"""`tf.train.ExponentialMovingAverage`: running averages of variables."""

from __future__ import annotations

from .. import context
from ..control import group
from ..graph_keys import GraphKeys, trainable_variables
from ..math import cast, minimum
from ..variables import Variable


class ExponentialMovingAverage:
    """Keeps for each variable an average: decay * average + (1 - decay) * value.

    num_updates  where given, the decay is at most (1 + n) / (10 + n)
    zero_debias  is not offered: averages begin with the variable's initial value
    """

    def __init__(
        self, decay, num_updates=None, zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ):
        if zero_debias:
            raise NotImplementedError("ExponentialMovingAverage with zero_debias=True")
        self._decay = decay
        self._updates = num_updates
        self.name = name
        self._averages: dict[int, tuple] = {}

    def apply(self, var_list=None):
        """The operation that moves the averages on; None in eager mode, where they move at once."""
        variables = trainable_variables() if var_list is None else list(var_list)
        decay = self._present_decay()
        moved = [self._made(v) for v in variables]
        made = [
            a.assign_sub((1.0 - decay) * (a - v)) for a, v in zip(moved, variables, strict=True)
        ]
        return group(*made, name=self.name)

    def _present_decay(self):
        if self._updates is None:
            return self._decay
        n = cast(self._updates, "float32")
        return minimum(self._decay, (1.0 + n) / (10.0 + n))

    def _made(self, variable) -> Variable:
        found = self._averages.get(id(variable))
        if found is None:
            start = variable.value() if context.building() is None else variable.initial_value
            name = f"{variable.name.partition(':')[0]}/{self.name}"
            collections = [GraphKeys.GLOBAL_VARIABLES, GraphKeys.MOVING_AVERAGE_VARIABLES]
            average = Variable(start, trainable=False, name=name, collections=collections)
            found = self._averages[id(variable)] = (variable, average)
        return found[1]

    def average(self, var):
        """The variable's average, None where there is none."""
        found = self._averages.get(id(var))
        return found and found[1]

    def average_name(self, var) -> str:
        return f"{var.name.partition(':')[0]}/{self.name}"
