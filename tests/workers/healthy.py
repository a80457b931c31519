"""Does every job as it should: two steps, one frame."""

from talk import jobs, say

for job in jobs():
    say("Progress", job=job, stage="denoising", done=1, total=2, left_s=1.0)
    say("FrameDone", job=job, number=1, path="frames/0001.png")
    say("Finished", job=job, frames=1, seconds=0.1)
