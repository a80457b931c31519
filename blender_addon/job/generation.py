"""One generation, from the scene's frames to finished pictures, a short step at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from t2vz_core.wire import events
from t2vz_core.wire.disk import disk_sentence
from t2vz_core.wire.job import JobSpec

from . import folders, resume
from .engine import Engine

CAPTURING, STARTING, CANCELLING = "capturing the scene", "starting the engine", "cancelling"
END = folders.FrameArrays(0)  # stands behind the last frame
WAITING = "waiting for its turn"
PAINTING = "painting frames"  # the engine's own word; it counts steps of frames
FINISHED, FAILED, CANCELLED = "finished", "failed", "cancelled"


class Generation:
    """Captures a job's frames one by one, has the engine carry it out, and tells how far it is.

    Without an engine it ends when the job folder is written. `end` is None while it goes on, then
    one of FINISHED, FAILED, CANCELLED. Whoever drives it calls `step` a few times a second; no step
    takes longer than one frame's capture.
    """

    def __init__(
        self, folder: Path, spec: JobSpec, engine: Engine | None, is_preview: bool = False
    ) -> None:
        self.folder, self.spec = folder, spec
        self.stage, self.done, self.total = STARTING, 0, 1
        self.left_s: float | None = None
        self.frames_done = 0
        self.notes: list[str] = []  # for the artist
        self.details: list[str] = []  # for the log, and who reads it
        self.error = ""
        self.log = ""
        self.end: str | None = None
        self.is_preview = is_preview
        self.is_without_scene = False  # its scene was not there any more when it finished
        self.captured_with: object = None  # the settings that its capture followed
        self.is_held = False  # captured, it waits until another has left the engine
        self.newest: Path | None = None
        self.painted = 0
        self.painting_s = 0.0
        self._painting_since: float | None = None
        self._first_share = 0.0
        self._engine = engine
        self._arrays: Generator[folders.FrameArrays | None] | None = None
        self._behind: Callable[[int], Generator[folders.FrameArrays | None]] | None = None
        self._is_sent = False

    def captures(
        self,
        behind: Callable[[int], Generator[folders.FrameArrays | None]],
        total: int,
        earlier: Path | None = None,
    ) -> Generation:
        """Makes the job's frames out of `total` captured ones first; without this the folder holds
        a job already.

        `behind` gives the frames that come after so many, anew after a pause; where one of them is
        None, the next is not there yet. With `earlier`, an interrupted job's folder, that job goes
        on if what is captured is the same once more.
        """
        self._behind, self._earlier = behind, earlier
        self._frames, self._began = [], time.monotonic()
        self.stage, self.done, self.total = CAPTURING, 0, total
        return self

    def pause(self) -> None:
        """Puts the scene back for a while, if it is being captured: the next step goes on."""
        if self._arrays is not None:
            arrays, self._arrays = self._arrays, None
            arrays.close()

    @property
    def is_capturing(self) -> bool:
        """Frames are still being read from the scene."""
        return self._behind is not None

    def step(self) -> None:
        """Goes on a little; what goes wrong becomes `error`, a sentence."""
        try:
            if self._behind is not None:
                self._capture_one(self._behind)
            elif self.end is None and self._engine is not None:
                self._ask(self._engine)
        except (OSError, ValueError, RuntimeError) as error:
            self.fail(sentence(error))

    def cancel(self) -> None:
        """Stops: capturing at once, generating within one denoising step."""
        if self._engine is not None and self._is_sent:
            self._engine.cancel()
            self.stage, self.left_s = CANCELLING, None
        elif self.end is None:
            self._drop_capture()
            self.end = CANCELLED

    def fail(self, reason: str) -> None:
        """Ends it with a sentence."""
        self._drop_capture()
        self.end, self.error = FAILED, reason

    def _capture_one(self, behind: Callable[[int], Generator[folders.FrameArrays | None]]) -> None:
        if self._arrays is None:
            self._arrays = behind(len(self._frames))
        frame = next(self._arrays, END)
        if frame is END:
            self._finish_capture()
        elif frame is not None:
            self._keep(frame)

    def _keep(self, frame: folders.FrameArrays) -> None:
        if frame.flow_here is not None:
            self._frames[-1] = folders.with_flow_ahead(
                self.folder, self._frames[-1], frame.flow_here
            )
        self._frames.append(folders.write_frame(self.folder, frame))
        self.done = len(self._frames)
        self.left_s = (time.monotonic() - self._began) / self.done * (self.total - self.done)

    def _finish_capture(self) -> None:
        self.spec = folders.finish(self.folder, self.spec, self._frames)
        self._arrays = self._behind = None
        if self._earlier is not None:
            self.folder = resume.rejoined(self.folder, self._earlier)
        if self._engine is None:
            self.end = FINISHED
            return
        self.stage, self.done, self.total, self.left_s = STARTING, 0, 1, None
        if self.is_held:
            self.stage = WAITING

    def _drop_capture(self) -> None:
        """Lets the capture put the scene back, and leaves no half-captured job behind."""
        if self.is_capturing:
            self.pause()
            self._behind = None
            folders.discard(self.folder)

    def _ask(self, engine: Engine) -> None:
        """Sends the job, or hears what has come of it since."""
        if self.is_held and not self._is_sent:
            return
        if not self._is_sent:
            self.stage = STARTING
            (engine.preview if self.is_preview else engine.run)(self.folder)
            self._is_sent = True
            return
        for event in engine.poll():
            self._hear(event)

    def _hear(self, event: Any) -> None:
        match event:
            case events.Progress() if self.stage != CANCELLING:
                self.stage, self.done, self.total, self.left_s = (
                    event.stage,
                    event.done,
                    event.total,
                    event.left_s,
                )
                self._clock(event)
            case events.Note():
                known = self.details if event.rank == events.LOG else self.notes
                if event.text not in known:
                    known.append(event.text)
            case events.FrameDone():
                self.frames_done += 1
                self.newest = self.folder / event.path
                if self._painting_since is not None:
                    self.painted += 1
                    spent_s = time.monotonic() - self._painting_since
                    self.painting_s = spent_s / (1 - self._first_share)
            case events.Finished():
                self.end = FINISHED
            case events.Failed():
                self.end, self.error, self.log = FAILED, event.reason, event.log
            case events.Cancelled():
                self.end = CANCELLED

    def _clock(self, event: events.Progress) -> None:
        """Begins to take the time after the first step, which is slow: the device warms up."""
        is_first = self._painting_since is None and 0 < event.done < event.total
        if event.stage == PAINTING and is_first:
            self._painting_since = time.monotonic()
            self._first_share = event.done / event.total


def sentence(error: Exception) -> str:
    """What the artist reads about an error."""
    return disk_sentence(error) if isinstance(error, OSError) else str(error)


def caption(generation: Generation) -> str:
    """What is being done, how far it is and how long it will take: `Painting frames: frame 3 of 16,
    1 min 20 s left`."""
    how_far = count(generation)
    return capital(generation.stage) + (f": {how_far[:1].lower()}{how_far[1:]}" if how_far else "")


def count(generation: Generation) -> str:
    """The frame at which the stage is, and how long it will take: `Frame 3 of 16, 1 min 20 s left`;
    nothing of a stage in one piece."""
    left = [] if generation.left_s is None else [f"{duration(generation.left_s)} left"]
    if generation.total <= 1:
        return ", ".join(left)
    frames = len(generation.spec.frames) if generation.stage == PAINTING else generation.total
    number = min(generation.done * frames // generation.total + 1, frames)
    return ", ".join([f"Frame {number} of {frames}", *left])


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """`8 s`, `1 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
