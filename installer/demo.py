"""The demo: a scene, captured, generated, cut into the sequencer and rendered, with all of it under
one folder."""

from __future__ import annotations

import shutil
import subprocess
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from .blenders import DEMO_BPY, Blender, bpy_wheel, installed_blender
from .console import Bar, Stop, say
from .engine import provide_engine
from .extension import OWN, build_extension, install_extension
from .process import child, clean_environment
from .wheel import ROOT

PROMPT = "a red ball on grass under a blue sky"
FRAMES = 16
_EXAMPLES = ROOT / "docs/examples"
_MADE = ("scene.blend", "film.blend", "film.mp4", "sheet.png", "job", "profile", "demo.log")
_MARK = "demo.log"


def run_demo(out: Path, env: Path, named: Path | None, backend: str | None = None) -> None:
    """Makes everything, from the environment to the film.

    Raises:
        Stop: a step failed; what the steps before it made stays.
    """
    out = _cleared(out.absolute())
    engine = provide_engine(env, backend=backend)
    blender = installed_blender(named) or bpy_wheel(DEMO_BPY)
    extension = build_extension(OWN, engine.python)
    started = time.monotonic()
    demo = Demo(out, blender, out / "profile", engine.python)
    demo.install(extension)
    demo.make()
    shutil.rmtree(out / "profile")
    say(f"\nDone in {time.monotonic() - started:.0f} s with Blender {blender.version}. Look at:")
    for name, meaning in (
        ("film.mp4", "the film"),
        ("sheet.png", "the scene above, its frames below"),
        ("film.blend", "the scene with the film in its sequencer"),
        ("job/frames", "the frames"),
        ("job", "all that the engine was given: `python -m t2vz_core run` repeats it"),
    ):
        say(f"  {out / name}  {meaning}")


def _cleared(out: Path) -> Path:
    """The folder without what an earlier demo made in it; what else lies there is left alone."""
    inside = {path.name for path in out.iterdir()} if out.exists() else set()
    if inside and _MARK not in inside:
        raise Stop(f"{out} is not empty and holds no earlier demo; name a new folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    for name in inside & set(_MADE):
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (out / _MARK).touch()
    return out


class Demo:
    """One run: where its files go, and the Blender that makes them."""

    def __init__(self, out: Path, blender: Blender, profile: Path, engine: Path) -> None:
        self._out, self._blender, self._profile = out, blender, profile
        self._variables = {"BLENDER_USER_RESOURCES": profile, "T2VZ_ENGINE": engine}

    def install(self, extension: Path) -> None:
        """Puts the zip into the throw-away profile: through Blender, or unpacked for the bpy
        module."""
        self._profile.mkdir()
        if not self._blender.is_wheel:
            install_extension(self._blender, extension, self._profile)
            return
        with zipfile.ZipFile(extension) as archive:
            archive.extractall(self._profile / "t2vz")
        for wheel in (self._profile / "t2vz/wheels").glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self._profile)

    def make(self) -> None:
        """The scene, its frames, the film."""
        out = self._out
        say("Making the scene")
        self._run(self._blender.command(_EXAMPLES / "rolling_ball.py", out / "scene.blend"))
        say(f'Generating "{PROMPT}"')
        arguments = [
            "--prompt",
            PROMPT,
            "--frames",
            "1-16",
            "--mode",
            "depth",
            "--size",
            "128",
            "--steps",
            "20",
            "--out",
            out / "job",
        ]
        self._run(self._generation([*arguments, "--save", out / "film.blend"]), is_shown=True)
        say("Rendering the film and the contact sheet")
        self._run(
            self._blender.command(_EXAMPLES / "film.py", out, scene=out / "film.blend"),
            bar=Bar("frames rendered"),
        )

    def _generation(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        if self._blender.is_wheel:
            script = Path(__file__).with_name("t2vz_in_bpy.py")
            return self._blender.command(
                script, self._profile, *arguments, scene=self._out / "scene.blend"
            )
        return [self._blender.program, "-b", self._out / "scene.blend", "-c", "t2vz", *arguments]

    def _run(
        self, command: Sequence[str | Path], is_shown: bool = False, bar: Bar | None = None
    ) -> None:
        """One step; Blender's own talk goes to the log, `is_shown` leaves the terminal to its
        stderr."""
        log = self._out / _MARK
        options = {"cwd": self._out, "env": clean_environment(self._variables)}
        with log.open("a", encoding="utf-8") as file:
            talk = {"stdout": subprocess.PIPE, "stderr": None if is_shown else file}
            with child(command, **options, **talk) as process:
                _follow(process, file, bar)
                code = process.wait()
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise Stop(
                f"The demo stopped at this step (it ended with {code}); "
                f"what Blender said is in {log}."
            )


def _follow(process: subprocess.Popen[str], log: TextIO, bar: Bar | None) -> None:
    """Writes what the process prints to the log; each frame that it says it has rendered moves the
    bar."""
    rendered = 0
    for line in process.stdout or ():
        log.write(line)
        if bar and line.startswith("rendered"):
            rendered += 1
            bar.show(rendered, 2 * FRAMES, "frames")
    if bar:
        bar.end()
