"""Leaves in mid-job with an exit code."""

import sys

from talk import jobs

for _ in jobs():
    sys.exit(3)
