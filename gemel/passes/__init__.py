"""From a tensor graph to a program: the list of passes and the passes."""
