"""Python environments that are either complete or made anew."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from . import uv
from .console import Stop, say
from .process import output_of

_MARK = "t2vz.json"


@dataclass(frozen=True)
class State:
    """What an environment holds; emptied before a change and written after it, so what it says is
    true."""

    python: str = ""
    holds: tuple[str, ...] = ()
    wheel: str = ""


def _kind(thing: str) -> str:
    """Of `torch build cpu` it is `torch build`, of which one alone can be held; a requirement is a
    kind of its own."""
    return thing.rpartition(" ")[0] or thing


class Environment:
    """A virtual environment in a folder of its own."""

    def __init__(self, folder: Path, maker: str = sys.executable) -> None:
        """`maker` is the Python that makes it."""
        self.folder, self._maker = folder.absolute(), maker
        self.python = uv.python_in(self.folder)

    def holds(self, things: Iterable[str]) -> bool:
        """Whether all of this was installed, by a change that came to its end."""
        state = self._state()
        return set(things) <= set(state.holds) and state.python == self._version()

    def held(self, kind: str) -> str | None:
        """The last word of what is held of this kind: of `torch build` it may be `cpu`."""
        found = [thing for thing in self._state().holds if _kind(thing) == kind]
        return found[0].rpartition(" ")[2] if found else None

    @contextmanager
    def change(self, things: Iterable[str]) -> Iterator[None]:
        """Makes the environment where there is none; `things` count as held once the block has
        ended well, in place of others of their kind."""
        state = self._state()
        if not state.python or state.python != self._version():
            self._make()
            state = State(self._version())
        self._write(State())
        yield
        held = {_kind(thing): thing for thing in (*state.holds, *things)}
        self._write(State(state.python, tuple(sorted(held.values())), state.wheel))

    def provide(self, *requirements: str) -> None:
        """Makes sure that these are installed.

        Raises:
            Stop: the folder is somebody else's, or uv failed.
        """
        if not self.holds(requirements):
            with self.change(requirements):
                self.install(*requirements)

    def provide_wheel(self, wheel: Path) -> None:
        """Makes sure that exactly this wheel is the one installed; what it requires is there
        already."""
        state = self._state()
        if state.wheel != wheel.name:
            self._write(State())
            self.install("--no-deps", "--no-index", "--reinstall", str(wheel))
            self._write(State(state.python, state.holds, wheel.name))

    def install(self, *arguments: str) -> None:
        """One `uv pip install`.

        Raises:
            Stop: uv failed.
        """
        uv.install(self.python, arguments, self.folder / "install.log")

    def _version(self) -> str:
        return (
            output_of([self.python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"])
            or ""
        ).strip()

    def _state(self) -> State:
        try:
            held = json.loads((self.folder / _MARK).read_text(encoding="utf-8"))
            return State(held["python"], tuple(held["holds"]), held["wheel"])
        except (OSError, ValueError, KeyError, TypeError):
            return State()

    def _write(self, state: State) -> None:
        part = self.folder / f"{_MARK}.part"
        part.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
        part.replace(self.folder / _MARK)

    def _make(self) -> None:
        self._clear()
        say(f"Making a Python environment in {self.folder}")
        uv.make_environment(self.folder, self._maker)

    def _clear(self) -> None:
        """Empties the folder where it is ours and cannot be trusted; the mark stays, so it stays
        ours."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            inside = list(self.folder.iterdir())
            if inside and not (self.folder / _MARK).exists():
                raise Stop(
                    f"{self.folder} is not empty and was not made by install.py; "
                    "name another with --env."
                )
            if inside:
                say(f"{self.folder} is half made or its Python is gone; it is made anew.")
            self._write(State())
            for path in inside:
                if path.name != _MARK:
                    shutil.rmtree(
                        path
                    ) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise Stop(
                f"{self.folder} cannot be used ({error.strerror}); free it or name another."
            ) from error
