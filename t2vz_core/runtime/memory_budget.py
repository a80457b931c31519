"""How much memory there is, and what is given up when it is not enough."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import psutil
import torch

from ..fault import Fault
from .devices import OWN_MEMORY

T = TypeVar("T")
Item = TypeVar("Item")

UNMEASURED_CELLS = (
    4 * 64 * 64
)  # a chunk's latent cells where no peak can be measured: 4 frames at 512²
LARGEST = 8  # 16 are no faster, take nearly twice the memory, and show their first frame later
SHARE = 0.7  # of the free memory that a chunk may take


def free_bytes(device: torch.device) -> int:
    """Memory of the device that can still be taken."""
    if device.type in OWN_MEMORY:
        memory = torch.accelerator
        idle = memory.memory_reserved(device) - memory.memory_allocated(device)
        return memory.get_memory_info(device)[0] + idle
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_host_bytes()


def free_host_bytes() -> int:
    """Memory of the computer that can still be taken without swapping."""
    return psutil.virtual_memory().available


class MemoryBudget:
    """Does work in chunks, and in smaller ones, or more frugally, when memory runs out.

    Args:
        reliefs: (sentence, action) each; tried in turn when one frame at a time is still too much.
            An action returns False where it has nothing left to give.
        chunk: frames at once; 0: by memory.
        cells: of one frame's latent.
        frame_bytes: what a frame's work takes, where that was measured before; else 0.
    """

    def __init__(
        self,
        device: torch.device,
        chunk: int,
        cells: int,
        note: Callable[[str], None],
        reliefs: Sequence[tuple[str, Callable[[], Any]]],
        frame_bytes: int = 0,
    ) -> None:
        self._device, self._chunk, self._cells, self._note = device, chunk, cells, note
        self._reliefs = list(reliefs)
        self.frame_bytes = frame_bytes

    def measured(self, work: Callable[[], T]) -> T:
        """Does one frame's work and remembers how much memory it took beyond what it leaves
        behind."""
        if self._device.type not in OWN_MEMORY:
            return self.attempt(work)
        memory = torch.accelerator
        memory.reset_peak_memory_stats(self._device)
        made = self.attempt(work)
        left = memory.memory_allocated(self._device)
        self.frame_bytes = memory.max_memory_allocated(self._device) - left
        return made

    def chunked(
        self,
        items: Sequence[Item],
        work: Callable[[list[Item]], T],
        take: Callable[[list[Item]], list[Item]] = list,
    ) -> Iterator[tuple[list[Item], T]]:
        """Does the work chunk by chunk; a chunk that does not fit is halved.

        Args:
            take: asked before each chunk which of its items are to be done.

        Yields:
            the items of a chunk and what was made of them.

        Raises:
            Fault: not even one item fits.
        """
        rest, size = list(items), self._chunk or self._size()
        while rest:
            taken = take(rest[:size])
            if not taken:
                rest = rest[size:]
                continue
            todo = partial(work, taken)
            made = _or_none(todo) if size > 1 else self.attempt(todo)
            if made is None:
                size = self._chunk = size // 2
                self._note(
                    f"Memory ran out: going on with {size} frame{'s' * (size > 1)} at a time."
                )
                continue
            yield taken, made
            rest = rest[size:]

    def attempt(self, work: Callable[[], T]) -> T:
        """Does the work, giving up one comfort after the other until it fits.

        Raises:
            Fault: it does not fit.
        """
        while (made := _or_none(work)) is None:
            if not self._relieved():
                raise Fault(
                    "There is not enough memory for a single frame: lower the picture size."
                )
        return made

    def _relieved(self) -> bool:
        while self._reliefs:
            sentence, action = self._reliefs.pop(0)
            if action() is not False:
                self._note(f"Memory ran out: {sentence}.")
                tidy()
                return True
        return False

    def _size(self) -> int:
        if self.frame_bytes:
            fitting = SHARE * free_bytes(self._device) / self.frame_bytes
        else:
            fitting = UNMEASURED_CELLS / self._cells
        return max(1, min(LARGEST, int(fitting)))


def _or_none(work: Callable[[], T]) -> T | None:
    """What the work makes, or None when memory ran out; by then nothing of it is held any more."""
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    tidy()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out; torch has no class of its own for the CPU's
    and Apple's."""
    said = str(error).lower()
    return (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or "out of memory" in said
        or "defaultcpuallocator" in said
    )


def tidy() -> None:
    """Gives back what is no longer used."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
