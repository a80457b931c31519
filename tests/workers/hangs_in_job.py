"""Falls silent in mid-job."""

import time

from talk import jobs, say

for job in jobs():
    say("Progress", job=job, stage="denoising", done=1, total=2)
    time.sleep(600)
