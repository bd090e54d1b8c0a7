//! A whole installation of `jit` in a folder of its own, and the program run in it as one person or another.
