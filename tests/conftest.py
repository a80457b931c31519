"""Leaves out the suites whose libraries this Python lacks, so that plain `pytest` runs anywhere."""

from importlib.util import find_spec

SUITES = {"core": "torch", "reference": "torch", "benchmarks": "torch", "blender": "bpy"}
collect_ignore = [suite for suite, library in SUITES.items() if find_spec(library) is None]
