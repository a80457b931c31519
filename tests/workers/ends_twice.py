"""Says that a job has finished, then that it failed, then more."""

from talk import beat, jobs, say

beat()
for job in jobs():
    say("Finished", job=job, frames=1, seconds=0.1)
    say("Failed", job=job, reason="or not", log="")
    say("FrameDone", job=job, number=9, path="frames/0009.png")
