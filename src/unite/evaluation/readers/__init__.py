"""Readers of the layouts in which benchmarks are published, one a layout."""
