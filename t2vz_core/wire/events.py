"""What happened: one small class per event.

After `Ready`, every job ends in exactly one of `Finished`, `Failed` and `Cancelled`, and nothing of
it follows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

from .parse import WireError, from_json, one_of, to_json

ARTIST, LOG = "artist", "log"  # the ranks of notes

# ---- the host says


@dataclass(frozen=True)
class Run:
    """Make the frames `first`..`last` (all, where null) of the job in `folder`, `chunk` at a time
    (0: by memory).

    Of these only `frames`, where it is not empty, as in wire/ranges.py; and only anchor and key
    frames, where `anchors_only`.
    """

    job: str
    folder: str
    first: int | None = None
    last: int | None = None
    chunk: int = 0
    frames: str = ""
    anchors_only: bool = False


@dataclass(frozen=True)
class Preview:
    """Draw the ControlNet conditions of the job in `folder` into its `conditions/` and make no
    frames."""

    job: str
    folder: str


@dataclass(frozen=True)
class Cancel:
    """Stop this job within one denoising step."""

    job: str


# ---- the worker says


@dataclass(frozen=True)
class Ready:
    """The worker takes jobs."""

    version: str
    pid: int


@dataclass(frozen=True)
class Beat:
    """The worker lives; sent every second from the first moment on.

    While it imports large libraries no thread of it may get a turn: it says for how long it may
    then be silent.
    """

    silence_s: float = 0.0


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of work of this `stage`; `left_s` until the job's end, null while
    unknown."""

    job: str
    stage: str
    done: int
    total: int
    left_s: float | None = None


@dataclass(frozen=True)
class Note:
    """A sentence of a job that goes on: for the artist, or what only the log and who reads it
    need."""

    job: str
    text: str
    rank: str = one_of(ARTIST, (ARTIST, LOG), "whom it is for")


@dataclass(frozen=True)
class FrameDone:
    """Frame `number` lies complete at `path`, relative to the job folder."""

    job: str
    number: int
    path: str


@dataclass(frozen=True)
class Finished:
    """Every frame asked for lies on disk."""

    job: str
    frames: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The job ended early: one sentence of what was wrong and what to do; `log` has the rest."""

    job: str
    reason: str
    log: str


@dataclass(frozen=True)
class Cancelled:
    """The job was stopped as asked; frames already done stay."""

    job: str


HOST = (Run, Preview, Cancel)
WORKER = (Ready, Beat, Progress, Note, FrameDone, Finished, Failed, Cancelled)
ENDS = (Finished, Failed, Cancelled)

_KINDS = {kind.__name__: kind for kind in HOST + WORKER}


def event_to_json(event: Any) -> dict[str, Any]:
    """The event's JSON object; the key `event` comes first and names its class. What has its
    default is left out, so that a reader who does not know a newer field meets it only where it
    matters."""
    said = {
        field.name: to_json(getattr(event, field.name))
        for field in dataclasses.fields(event)
        if getattr(event, field.name) != field.default
    }
    return {"event": type(event).__name__, **said}


def event_from_json(value: Any) -> Any:
    """The event of a JSON object.

    Raises:
        WireError: not an object, an unknown event or a field at fault.
    """
    if not isinstance(value, dict):
        raise WireError("event: must be an object")
    said = cast(dict[Any, Any], value)
    rest = {key: item for key, item in said.items() if key != "event"}
    kind = _KINDS.get(str(said.get("event")))
    if kind is None:
        raise WireError(f"event: unknown event {said.get('event')!r}")
    return from_json(kind, rest, kind.__name__)
