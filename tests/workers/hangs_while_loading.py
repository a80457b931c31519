"""Says that it may be silent for four seconds, and is silent ever after."""

import time

from talk import jobs, say

for _ in jobs():
    say("Beat", silence_s=4.0)
    time.sleep(600)
