"""The embedded demo model: a small world, the networks that learnt it, and how they were
trained."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
