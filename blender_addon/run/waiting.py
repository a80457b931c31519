"""What waits for its turn: moved, taken out, paused, and taken up again on another day."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import queue_file, session


def reorder(index: int, action: str) -> None:
    """Moves what waits at this place `UP` or `DOWN`, or `CANCEL`s it; nothing where none waits."""
    waiting = session.now.waiting
    if not 0 <= index < len(waiting):
        return
    if action == "CANCEL":
        return session.cancel(waiting[index])
    other = index + (-1 if action == "UP" else 1)
    if 0 <= other < len(waiting):
        waiting[index], waiting[other] = waiting[other], waiting[index]
    queue_file.write(session.now)
    session.redraw()


def take_left_over(target: bpy.types.Scene | None) -> None:
    """Queues what earlier Blenders have left, each into its scene if that is open, else into
    `target`; without a target forgets it.

    Raises:
        ValueError: no engine is found.
    """
    jobs, worker = session.now.left_over, session.engine() if target else None
    session.now.left_over = []
    for job in jobs if worker and target else []:
        scene = bpy.data.scenes.get(job.scene) if job.blend == bpy.data.filepath else None
        session.begin(session.resumed(Path(job.folder), worker), scene or target)
    queue_file.write(session.now)
    session.redraw()


def pause() -> None:
    """Begins nothing new until `go_on`."""
    session.now.is_paused = True
    session.redraw()


def go_on() -> None:
    """Takes the next of the queue, once it is no longer paused."""
    session.now.is_paused = False
    if not session.now.is_busy:
        session.take_next()
    if not bpy.app.timers.is_registered(session.tick):
        bpy.app.timers.register(session.tick, persistent=True)
    session.redraw()
