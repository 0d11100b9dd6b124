"""Operations that give variables their initial values, and questions about who has one."""

from __future__ import annotations

from . import context
from .control import group
from .graph_keys import global_variables, local_variables
from .scopes import get_variable_scope as get_variable_scope


def variables_initializer(var_list, name: str = "init"):
    """An operation that initialises these variables; None in eager mode, where they are."""
    if context.building() is None:
        return None
    return group(*[v.initializer for v in var_list], name=name)


def global_variables_initializer():
    """An operation that initialises all global variables of the default graph."""
    return variables_initializer(global_variables())


initialize_all_variables = global_variables_initializer


def local_variables_initializer():
    return variables_initializer(local_variables(), name="init_1")


def tables_initializer(name: str = "init_all_tables"):
    return group(name=name)


def is_variable_initialized(variable):
    """A truth value: has the variable a value in the session?"""
    return variable.is_initialized()


def report_uninitialized_variables(var_list=None, name: str = "report_uninitialized_variables"):
    raise NotImplementedError(
        "report_uninitialized_variables needs string tensors; ask is_variable_initialized of each"
    )
