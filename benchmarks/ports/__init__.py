"""A corpus of ports, right ones and faulty ones, that judges ``nv.compare``: ``python -m benchmarks.ports --help``."""
