"""A job as Open Job Description has it: a template that `openjd run` and AWS Deadline Cloud carry
out. https://github.com/OpenJobDescription/openjd-specifications, 2023-09 with task chunks.

Capture (where a scene is given), then anchor and key frames, then parts of frames on as many
machines as there are, then the check and the movie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

from ..wire import events

REVISION = "jobtemplate-2023-09"
NOTIFY_S = 60  # between "stop" and "die"; a step of denoising and a heavy machine lie in between
ADDRESS = "{{Session.WorkingDirectory}}/engine.json"
FLEET_GPU = {"amounts": [{"name": "amount.worker.gpu", "min": 1}]}


@dataclass(frozen=True)
class Wanted:
    """What a farm is to make.

    Attributes:
        shots, parts: their first frames, as range expressions.
        each: parts in one task.
        python, blender: programs on the farm's machines.
        has_models: the models folder is a parameter.
        frames: of the scene, where it is captured first; "" where the job is there.
    """

    name: str
    shots: str
    parts: str
    each: int
    python: str
    blender: str
    fps: float
    hours: int
    needs_gpu: bool
    has_models: bool
    frames: str = ""


def template(wanted: Wanted) -> dict[str, Any]:
    """The job template as a JSON value."""
    steps = [_anchors(wanted), _paint(wanted), _finish(wanted)]
    return {
        "specificationVersion": REVISION,
        "extensions": ["TASK_CHUNKING"],
        "name": wanted.name[:64],
        "parameterDefinitions": _parameters(wanted),
        "steps": [_capture(wanted), *steps] if wanted.frames else steps,
    }


def _parameters(wanted: Wanted) -> list[dict[str, Any]]:
    job = {"objectType": "DIRECTORY", "dataFlow": "INOUT", "description": "the job's folder"}
    found = [
        {"name": "JobFolder", "type": "PATH", **job},
        _text("Engine", wanted.python, "the engine's Python, alike on all machines"),
        _text("Shots", wanted.shots, "the first frames of the shots, whose anchors tasks make"),
        _text("Parts", wanted.parts, "the first frames of the parts that tasks make"),
        {"name": "PartsInTask", "type": "INT", "default": wanted.each, "minValue": 1},
        {"name": "Fps", "type": "FLOAT", "default": wanted.fps},
    ]
    if wanted.has_models:
        models = {"objectType": "DIRECTORY", "dataFlow": "IN", "description": "where models lie"}
        found.append({"name": "Models", "type": "PATH", **models})
    if wanted.frames:
        scene = {"objectType": "FILE", "dataFlow": "IN", "description": "the scene"}
        found.append({"name": "Scene", "type": "PATH", **scene})
        found.append(_text("Frames", wanted.frames, "the scene's frames"))
        found.append(_text("Blender", wanted.blender, "Blender, with the add-on"))
    return found


def _text(name: str, default: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": "STRING", "default": default, "description": description}


def _capture(wanted: Wanted) -> dict[str, Any]:
    arguments = ["-b", "{{Param.Scene}}", "-c", "t2vz", "--capture-only"]
    arguments += ["--frames={{Param.Frames}}", "--out", "{{Param.JobFolder}}"]
    return _step("Capture", wanted, "{{Param.Blender}}", arguments)


def _anchors(wanted: Wanted) -> dict[str, Any]:
    shots = ("--anchors", "--parts={{Task.Param.Shot}}", "--of={{Param.Shots}}")
    step = _step("Anchors", wanted, *_engine("run", "{{Param.JobFolder}}", *shots))
    shot = {"name": "Shot", "type": "INT", "range": "{{Param.Shots}}"}
    return _on_gpu(step, wanted) | _over(shot) | (_after("Capture") if wanted.frames else {})


def _paint(wanted: Wanted) -> dict[str, Any]:
    parts = ("--parts={{Task.Param.Part}}", "--of={{Param.Parts}}")  # may begin with a minus
    step = _step("Paint", wanted, *_engine("run", "{{Param.JobFolder}}", *parts))
    chunks = {"defaultTaskCount": "{{Param.PartsInTask}}", "rangeConstraint": "NONCONTIGUOUS"}
    part = {"name": "Part", "type": "CHUNK[INT]", "range": "{{Param.Parts}}", "chunks": chunks}
    return _on_gpu(step, wanted) | _over(part) | _after("Anchors")


def _finish(wanted: Wanted) -> dict[str, Any]:
    arguments = ["-m", "t2vz_core", "finish", "{{Param.JobFolder}}", "--fps", "{{Param.Fps}}"]
    return _step("Finish", wanted, "{{Param.Engine}}", arguments) | _after("Paint")


def _engine(act: str, *more: str) -> tuple[str, list[str]]:
    return "{{Param.Engine}}", ["-m", "t2vz_core", "daemon", act, *more, "--at", ADDRESS]


def _on_gpu(step: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """The step with an engine kept warm for all tasks of a session, where a GPU is."""
    starts, stops = _action(600, *_engine("start")), _action(60, *_engine("stop"))
    warm = {"name": "Engine", "script": {"actions": {"onEnter": starts, "onExit": stops}}}
    if wanted.has_models:
        warm["variables"] = {"T2VZ_MODELS": "{{Param.Models}}"}
    where = {"hostRequirements": FLEET_GPU} if wanted.needs_gpu else {}
    return step | {"stepEnvironments": [warm]} | where


def _step(name: str, wanted: Wanted, command: str, arguments: list[str]) -> dict[str, Any]:
    run = _action(wanted.hours * 3600, command, arguments)
    return {"name": name, "script": {"actions": {"onRun": run}}}


def _action(timeout_s: int, command: str, arguments: list[str]) -> dict[str, Any]:
    stops = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTIFY_S}
    return {"command": command, "args": arguments, "timeout": timeout_s, "cancelation": stops}


def _over(parameter: dict[str, Any]) -> dict[str, Any]:
    """A task for each value of a parameter."""
    return {"parameterSpace": {"taskParameterDefinitions": [parameter]}}


def _after(step: str) -> dict[str, Any]:
    return {"dependencies": [{"dependsOn": step}]}


class Lines:
    """Tells a job's events in the lines that a session listens for on stdout."""

    def __init__(self, out: IO[str]) -> None:
        self._out, self._stage, self._percent = out, "", -1
        self.end: Any = None

    def show(self, event: Any) -> None:
        """Tells one event; of progress, each whole percent."""
        match event:
            case events.Progress():
                self._progress(event)
            case events.Note():
                self._say(f"openjd_status: {event.text}")
            case events.FrameDone():
                self._say(f"frame {event.number}: {event.path}")
            case events.Finished():
                self._say(f"{event.frames} frames, {event.seconds:.1f} s")
            case events.Failed():
                self._say(f"openjd_fail: {event.reason}")
            case events.Cancelled():
                self._say("openjd_status: cancelled; frames already done are kept")
        if isinstance(event, events.ENDS):
            self.end = event

    def _progress(self, event: events.Progress) -> None:
        percent = int(100 * event.done / max(event.total, 1))
        if event.stage != self._stage:
            self._say(f"openjd_status: {event.stage}")
        if (event.stage, percent) != (self._stage, self._percent):
            self._say(f"openjd_progress: {percent}")
        self._stage, self._percent = event.stage, percent

    def _say(self, text: str) -> None:
        print(" ".join(text.split()), file=self._out, flush=True)
