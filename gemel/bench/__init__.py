"""`gemel bench`: workloads and kernels beside installed peers and the machine's limits.

command.py     the command line's entry: which rows, what is written
workloads/     the programs: ordinary user code for each framework
peers.py       which frameworks there are, and what each is told about threads
worker.py      the script of a worker process: one framework, one number of threads
turns.py       worker processes taking turns at one row
measuring.py   one row: built, checked against the others, timed
record.py      what was measured: kept on disk row by row, resumed, compared
table.py       the record as text; page.py, bars.py, roofline.py as one HTML file
"""
