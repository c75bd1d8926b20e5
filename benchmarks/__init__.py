"""How fast and how large: `make bench`, or `python -m benchmarks [name ...]`."""
