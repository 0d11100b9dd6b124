"""`gemel.explain`: what a program's kernels do, where they come from, and how fast they could be.

peaks.py        the machine's limits, measured by generated kernels
limits.py       what bounds a task on this machine
process.py      what the whole process holds of memory
quantities.py   numbers for people
explanation.py  the kernels of the programs that a function runs, timed one by one
report.py       an explanation as a table of text or HTML
"""

from .explanation import Explanation, KernelReport, ProgramReport, explain

__all__ = ["Explanation", "KernelReport", "ProgramReport", "explain"]
