"""Says that it may be silent for eight seconds, is so for four, and does its job."""

import time

from talk import jobs, say

for job in jobs():
    say("Beat", silence_s=8.0)
    time.sleep(4.1)
    say("Finished", job=job, frames=1, seconds=4.1)
