"""Runs: from the scene to a job, through the engine, back as a strip."""
