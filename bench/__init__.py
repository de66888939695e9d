"""Load generators and micro-benchmarks, each prints a table: README.md says how to read them."""
