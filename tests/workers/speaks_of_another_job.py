"""Ends jobs that nobody sent before it ends the right one."""

from talk import beat, jobs, say

beat()
for job in jobs():
    say("Finished", job="somebody-else", frames=1, seconds=0.1)
    say("Finished", job=job, frames=2, seconds=0.1)
