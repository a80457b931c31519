"""Trains the demo model, stage by stage: `python -m t2vz_core.demo.train all --out DIR`."""
