"""Drives a generation to its end, as Blender's timer would."""

import time

from blender_addon.job.generation import FINISHED
from blender_addon.run import scene_job, session


def generate(scene):
    """Begins what the button begins."""
    session.begin(scene_job.generation_of(scene, session.engine()), scene)


def until(is_so, limit_s=20.0):
    """Calls the timer as Blender would."""
    last = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < last, "waited in vain"
        session.tick()
        time.sleep(0.02)


def to_the_end():
    """Waits for the generation under way to end, and returns it."""
    until(lambda: not session.now.is_busy)
    return session.now.generation


def job_of(scene, folder):
    """The job that a scene's settings make, captured to its end."""
    generation = scene_job.generation_of(scene, None, folder)
    while generation.end is None:
        generation.step()
    assert generation.end == FINISHED, generation.error
    return generation.spec
