"""Code generation: LLVM IR text, vector mathematics, contractions."""
