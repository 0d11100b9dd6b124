"""TensorFlow 1's optimizers: `minimize` gives the operation of one training step.

Role: slots and their names, which variables are trained, the step's operations. The rules stand in
the engine's `graph_updates`. In: a loss of the graph. Out: an operation. In eager mode the loss is
a function, and the step runs at once.
"""

from __future__ import annotations

from gemel import tensor as engine
from gemel.ops import graph_updates as rules
from gemel.ops.record import Call

from .. import context
from ..bodies import NoOp, Update
from ..convert import convert_to_tensor, in_graph
from ..gradients import gradients
from ..graph_keys import GraphKeys, trainable_variables
from ..symbolic import Operation
from ..variables import EagerVariable, Variable, _inside

GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2


class Optimizer:
    """The base: a subclass says its slots and its rule.

    _slots     (slot's name, key for get_slot, initial value) per state value of a parameter
    _rule      (attrs, *parameter and slots, *gradient and numbers) -> new parameter and slots
    _numbers   values that the rule takes as run-time tensors, the learning rate first
    _static    values that are part of the program
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = GATE_NONE, GATE_OP, GATE_GRAPH
    _type = "ApplyGradientDescent"
    _slots: tuple = ()

    def __init__(self, use_locking: bool = False, name: str = "Optimizer"):
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._name = name
        self._state: dict = {}
        self._call = Call(self._type, self._expand, False)

    def get_name(self) -> str:
        return self._name

    # ---------- what a subclass gives ----------
    def _numbers(self) -> list:
        return []

    def _static(self) -> tuple:
        return ()

    def _rule(self, attrs, *values):
        raise NotImplementedError

    def _shared(self, graph) -> tuple:
        """Variables that all parameters' steps share, made before the first one."""
        return ()

    def _finish(self, updates: list, name: str) -> Operation:
        graph = updates[0].graph
        return Operation(graph, name, NoOp(), (), tuple(updates))

    def _expand(self, attrs, *values):
        return tuple(self._rule(attrs, *values))

    # ---------- the steps ----------
    def minimize(
        self,
        loss,
        global_step=None,
        var_list=None,
        gate_gradients: int = GATE_OP,
        aggregation_method=None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss=None,
    ):
        """The operation of one step: gradients of the loss, applied.

        ValueError where no variable, or none that the loss depends on, is there.
        """
        pairs = self.compute_gradients(loss, var_list, grad_loss=grad_loss)
        if not any(g is not None for g, _ in pairs):
            names = [repr(v) for _, v in pairs]
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not "
                f"support gradients, between variables {names} and loss {loss}."
            )
        return self.apply_gradients(pairs, global_step=global_step, name=name)

    def compute_gradients(
        self,
        loss,
        var_list=None,
        gate_gradients: int = GATE_OP,
        aggregation_method=None,
        colocate_gradients_with_ops: bool = False,
        grad_loss=None,
    ) -> list:
        """[(gradient or None, variable)] for the trainable variables, or those given."""
        if callable(loss):
            return self._computed_eagerly(loss, var_list)
        if context.building() is None:
            raise RuntimeError(
                "`loss` passed to Optimizer.compute_gradients should be a function when eager "
                "execution is enabled."
            )
        variables = list(var_list) if var_list is not None else _default_variables()
        if not variables:
            raise ValueError("No variables to optimize.")
        seeds = None if grad_loss is None else [grad_loss]
        found = gradients(loss, variables, seeds)
        return list(zip(found, variables, strict=True))

    @staticmethod
    def _computed_eagerly(loss, var_list) -> list:
        from ..tape import GradientTape

        with GradientTape() as tape:
            value = loss()
        variables = list(var_list) if var_list is not None else list(tape.watched_variables())
        return list(zip(tape.gradient(value, variables), variables, strict=True))

    def apply_gradients(self, grads_and_vars, global_step=None, name: str | None = None):
        """The operation that applies gradients; None gradients are left out."""
        pairs = [(g, v) for g, v in grads_and_vars]
        if not pairs:
            raise ValueError("No variables provided.")
        there = [(g, v) for g, v in pairs if g is not None]
        if not there:
            names = [repr(v) for _, v in pairs]
            raise ValueError(f"No gradients provided for any variable: {names}.")
        if context.building() is None:
            return self._applied_eagerly(there, global_step)
        return self._applied(there, global_step, name or self._name)

    def _applied(self, pairs, global_step, name: str) -> Operation:
        graph = context.building()
        full = graph.unique_name(name)
        with graph.control_dependencies(None):
            shared = self._shared(graph)
            slots = [self._made_slots(v) for _, v in pairs]
        numbers = [in_graph(graph, x, hint=pairs[0][1].dtype) for x in self._numbers()]
        updates = []
        for (g, v), own in zip(pairs, slots, strict=True):
            inputs = [in_graph(graph, g), *(s._read_in(graph, full) for s in shared)]
            inputs += [_as_type(x, v.dtype) for x in numbers]
            body = Update(self._type, self._expand, self._static(), (v, *own))
            label = graph.unique_name_in_full(f"{full}/update_{v.op.name}/{self._type}")
            updates.append(Operation(graph, label, body, inputs))
        made = self._last(updates, full, global_step)
        graph.add_to_collection(GraphKeys.TRAIN_OP, made)
        return made

    def _last(self, updates, full: str, global_step) -> Operation:
        if global_step is None:
            return self._finish(updates, full)
        graph = updates[0].graph
        gate = self._finish(updates, graph.unique_name_in_full(full + "/update"))
        with graph.control_dependencies([gate]):
            stepped = global_step.assign_add(1, name=full + "/Assign").op
        return Operation(graph, full, NoOp(), (), (stepped,))

    # ---------- slots ----------
    def _made_slots(self, variable) -> list[Variable]:
        found = self._state.get(id(variable))
        if found is None:
            found = self._state[id(variable)] = (variable, self._new_slots(variable))
        return found[1]

    def _new_slots(self, variable) -> list[Variable]:
        from ..array import constant

        made = []
        for name, _, start in self._slots:
            eager = isinstance(variable, EagerVariable)
            owner = variable._name if eager else variable.op.name
            label = f"{owner}/{name}"
            with _no_scope(variable):
                value = constant(start, variable.dtype, shape=variable.shape)
                made.append(Variable(value, trainable=False, name=label))
        return made

    def get_slot_names(self) -> list[str]:
        return [key for _, key, _ in self._slots]

    def get_slot(self, var, name: str):
        """A parameter's state by its name, None where there is none."""
        found = self._state.get(id(var))
        names = self.get_slot_names()
        return found[1][names.index(name)] if found and name in names else None

    def variables(self) -> list[Variable]:
        """All state variables."""
        slots = [s for _, row in self._state.values() for s in row]
        return [*self._shared_made(), *slots]

    def _shared_made(self) -> list[Variable]:
        return []

    # ---------- eager ----------
    def _applied_eagerly(self, pairs, global_step) -> None:
        """One recorded update for each parameter."""
        shared = self._shared(None)
        for g, v in pairs:
            own = self._made_slots(v)
            numbers = [convert_to_tensor(x, dtype_hint=v.dtype) for x in self._numbers()]
            reads = [convert_to_tensor(g), *(s._tensor for s in shared), *numbers]
            targets = [v._tensor, *(s._tensor for s in own)]
            with engine.no_grad():
                engine.update(self._call, targets, reads, (), self._static())
        self._finish_eagerly()
        if global_step is not None:
            global_step.assign_add(1)
        engine.flush()

    def _finish_eagerly(self) -> None:
        return None


def _no_scope(variable):
    import contextlib

    if isinstance(variable, EagerVariable):
        return contextlib.nullcontext()
    return _inside(variable.graph, "")


def _default_variables() -> list:
    return trainable_variables()


def _as_type(x, dtype):
    from ..math import cast

    return x if x.dtype is dtype else cast(x, dtype)


def _value(x):
    """A number, a tensor, or a function that gives one."""
    return x() if callable(x) else x


class GradientDescentOptimizer(Optimizer):
    """p - learning_rate * gradient."""

    def __init__(self, learning_rate, use_locking=False, name="GradientDescent"):
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _numbers(self) -> list:
        return [_value(self._learning_rate)]

    def _rule(self, attrs, p, g, rate):
        return rules.descent(p, g, rate)


class MomentumOptimizer(GradientDescentOptimizer):
    """Steps along a running sum of gradients."""

    _type = "ApplyMomentum"
    _slots = (("Momentum", "momentum", 0.0),)

    def __init__(
        self, learning_rate, momentum, use_locking=False, name="Momentum", use_nesterov=False
    ):
        super().__init__(learning_rate, use_locking, name)
        self._momentum = momentum
        self._nesterov = bool(use_nesterov)

    def _static(self) -> tuple:
        return float(_value(self._momentum)), self._nesterov

    def _rule(self, attrs, p, velocity, g, rate):
        return rules.momentum(p, velocity, g, rate, *attrs)


class AdagradOptimizer(GradientDescentOptimizer):
    """Divides by the root of the sum of squared gradients."""

    _type = "ApplyAdagrad"

    def __init__(
        self, learning_rate, initial_accumulator_value=0.1, use_locking=False, name="Adagrad"
    ):
        if initial_accumulator_value <= 0.0:
            raise ValueError(
                f"initial_accumulator_value must be positive: {initial_accumulator_value}"
            )
        super().__init__(learning_rate, use_locking, name)
        self._slots = (("Adagrad", "accumulator", initial_accumulator_value),)

    def _rule(self, attrs, p, total, g, rate):
        return rules.adagrad(p, total, g, rate)


class AdadeltaOptimizer(GradientDescentOptimizer):
    """Zeiler 2012."""

    _type = "ApplyAdadelta"
    _slots = (("Adadelta", "accum", 0.0), ("Adadelta_1", "accum_update", 0.0))

    def __init__(
        self, learning_rate=0.001, rho=0.95, epsilon=1e-8, use_locking=False, name="Adadelta"
    ):
        super().__init__(learning_rate, use_locking, name)
        self._rho = rho
        self._epsilon = epsilon

    def _static(self) -> tuple:
        return float(_value(self._rho)), float(_value(self._epsilon))

    def _rule(self, attrs, p, squares, steps, g, rate):
        return rules.adadelta(p, squares, steps, g, rate, *attrs)


class RMSPropOptimizer(GradientDescentOptimizer):
    """Divides by the root of a running mean of squared gradients."""

    _type = "ApplyRMSProp"

    def __init__(
        self, learning_rate, decay=0.9, momentum=0.0, epsilon=1e-10, use_locking=False,
        centered=False, name="RMSProp",
    ):
        super().__init__(learning_rate, use_locking, name)
        self._settings = (decay, momentum, epsilon)
        self._centered = bool(centered)
        self._slots = (("RMSProp", "rms", 1.0), ("RMSProp_1", "momentum", 0.0))
        if centered:
            self._type = "ApplyCenteredRMSProp"
            self._slots += (("RMSProp_2", "mg", 0.0),)

    def _static(self) -> tuple:
        return tuple(float(_value(x)) for x in self._settings)

    def _rule(self, attrs, p, *rest):
        if self._centered:
            return rules.centred_rms_prop(p, *rest, *attrs)
        return rules.rms_prop(p, *rest, *attrs)


class AdamOptimizer(GradientDescentOptimizer):
    """Kingma and Ba 2015. The powers of the betas are variables that all parameters share."""

    _type = "ApplyAdam"
    _slots = (("Adam", "m", 0.0), ("Adam_1", "v", 0.0))

    def __init__(
        self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, use_locking=False,
        name="Adam",
    ):
        super().__init__(learning_rate, use_locking, name)
        self._settings = (beta1, beta2, epsilon)
        self._powers: dict = {}

    def _static(self) -> tuple:
        return tuple(float(_value(x)) for x in self._settings)

    def _shared(self, graph) -> tuple:
        found = self._powers.get(id(graph))
        if found is None:
            beta1, beta2, _ = self._static()
            with _inside(graph, "") if graph is not None else _no_context():
                made = (
                    Variable(beta1, trainable=False, name="beta1_power", dtype="float32"),
                    Variable(beta2, trainable=False, name="beta2_power", dtype="float32"),
                )
            found = self._powers[id(graph)] = (graph, made)
        return found[1]

    def _shared_made(self) -> list[Variable]:
        return [v for _, pair in self._powers.values() for v in pair]

    def get_beta_accumulators(self) -> tuple:
        return self._shared(context.building())

    def _rule(self, attrs, p, m, v, g, power1, power2, rate):
        return rules.adam(p, m, v, g, power1, power2, rate, *attrs)

    def _finish(self, updates: list, name: str) -> Operation:
        """The powers move on after all parameters have read them."""
        graph = updates[0].graph
        body = Update("Mul", _next_powers, self._static()[:2], self._shared(graph))
        label = graph.unique_name_in_full(f"{name}/powers")
        powers = Operation(graph, label, body, (), tuple(updates))
        return Operation(graph, name, NoOp(), (), (*updates, powers))

    def _finish_eagerly(self) -> None:
        for power, beta in zip(self._shared(None), self._static(), strict=False):
            power.assign(power * beta)


def _next_powers(attrs, power1, power2):
    return power1 * attrs[0], power2 * attrs[1]


def _no_context():
    import contextlib

    return contextlib.nullcontext()
