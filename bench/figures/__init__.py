"""The figures of the benchmark, one module a group."""
