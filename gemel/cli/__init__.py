"""The `gemel` command. `main.py` reads the command line; each command has a module of its own."""
