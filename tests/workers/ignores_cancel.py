"""Beats on and on, and never stops its job."""

import time

from talk import beat, jobs

beat()
for _ in jobs():
    time.sleep(600)
