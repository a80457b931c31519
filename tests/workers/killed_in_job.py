"""Is killed by the system in mid-job, as when memory runs out."""

import os
import signal

from talk import jobs, say

for job in jobs():
    say("Progress", job=job, stage="denoising", done=1, total=2)
    os.kill(os.getpid(), signal.SIGKILL)
