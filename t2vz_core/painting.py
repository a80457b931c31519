"""The frames of a range are made, together with whoever else works in the job's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .job_folder.claims import Claims
from .job_folder.frames import Frames
from .job_folder.passes import Source
from .job_folder.shared import SharedJob
from .method.generate import anchor_numbers
from .method.inbetweens import animate
from .method.progress import Watch
from .method.share import Session
from .models.networks import Networks
from .wire import events
from .wire.job import JobSpec

WAIT_S = 0.3  # between two looks at what other processes do


class Painting:
    """One range of a job.

    Args:
        tell: names the wanted frames that have come, whoever made them; returns those missing.
    """

    def __init__(
        self,
        event: events.Run,
        spec: JobSpec,
        source: Source,
        frames: Frames,
        networks: Networks,
        session: Session,
        watch: Watch,
        tell: Callable[[], list[int]],
    ) -> None:
        self._event, self._spec, self._source, self._frames = event, spec, source, frames
        self._networks, self._session = networks, session
        self._watch, self._tell = watch, tell
        self._wanted = frames.numbers(event.first, event.last, event.frames)

    def carry_out(self) -> None:
        """Makes what is missing until nothing is; what others have claimed is waited for, and made
        here should they die."""
        with Claims(self._frames.job) as claims:
            share = SharedJob(self._frames, claims, self._wait, self._session)
            if self._event.anchors_only:
                numbers = anchor_numbers(self._spec, self._wanted, self._networks.is_instruct)
                self._paint(numbers, share)
                return
            while missing := self._tell():
                if not share.is_free(missing) or not self._paint(missing, share):
                    self._wait()

    def _paint(self, numbers: Sequence[int], share: SharedJob) -> int:
        """Makes what nobody else does of some frames; returns how many."""
        made = 0
        work = (self._spec, self._source, self._networks, numbers, self._watch)
        for number, picture in animate(*work, self._event.chunk, share, self._frames.picture):
            share.write(number, picture)
            self._tell()
            made += 1
        return made

    def _wait(self) -> None:
        missing, total = len(self._tell()), len(self._wanted)
        self._watch.progress("waiting for other processes", total - missing, total)
        time.sleep(WAIT_S)
