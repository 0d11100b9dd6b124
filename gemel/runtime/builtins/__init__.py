"""Built-in functions for the Python interpreter, compiled like kernels: what a step does again and
again between its programs, without a line of Python.

Role: where a call is like those before it, all that is left is to look at objects: their types,
versions, reference counts, addresses. `call` makes functions; `run` runs a short program on held
values, `functions` record what was seen before (`record` calls, `write` writes, `look` makes views;
`operands` and `engine` are what they share), `gather` finds an optimizer's values, and
`direct_*` is a whole call of a compiled function. `instances` says where the interpreter keeps what
they read, and tries it first: where anything is not as expected, none of them exist, and Python
does the work.
"""
