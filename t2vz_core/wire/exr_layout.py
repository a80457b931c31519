"""Which passes a rendered EXR file holds, told by the names of its channels.

Blender's layouts differ: one part (up to 4.5, and interleaved), or a part for each pass (from 5.0
on); the object index is called IndexOB or Object Index. A channel is named view layer, pass, and
component, with dots between them and, it may be, within the view layer's name.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

PASSES = {
    "image": (("Combined.R", "Combined.G", "Combined.B"), ("R", "G", "B")),
    "depth": (("Depth.Z",), ("Depth.V",), ("Z.V",)),
    "normal": (("Normal.X", "Normal.Y", "Normal.Z"),),
    "vector": (("Vector.X", "Vector.Y", "Vector.Z", "Vector.W"),),
    "index": (("IndexOB.X",), ("Object Index.X",), ("IndexOB.V",), ("Object Index.V",)),
    "matte": (("CryptoObject00.r",), ("CryptoObject00.R",)),
}
TITLES = {
    "image": "Combined",
    "depth": "Z",
    "normal": "Normal",
    "vector": "Vector",
    "index": "Object Index",
    "matte": "Cryptomatte Object",
}
COMPOSITE = "Composite"  # the compositor's own picture, which stands among the view layers
MAGIC, MULTIPART = 20000630, 0x1000
LONGEST_NAME = 256


def channel_names(path: Path) -> list[str]:
    """The names of all channels of all parts of an EXR file, in the file's order.

    The file's head alone is read: openexr.com/en/latest/OpenEXRFileLayout.html

    Raises:
        ValueError: it is no EXR file, or cut short.
        OSError: it cannot be read.
    """
    names: list[str] = []
    with path.open("rb") as file:
        try:
            magic, version = struct.unpack("<ii", file.read(8))
            if magic != MAGIC:
                raise ValueError
            while (head := _head(file)) is not None:
                names += head
                if not version & MULTIPART:
                    break
        except (ValueError, struct.error) as error:
            raise ValueError(f"{path} is no EXR file, or is cut short: render it again.") from error
    return names


def channels_of(names: Collection[str], view_layer: str, name: str) -> tuple[str, ...] | None:
    """The channels of a pass, by its name in `PASSES`; None where the file has none.

    Those of the view layer, where it is named and the file knows it; of the only one, where the
    file knows one; and of the first, where none is named.
    """
    layers = view_layers(names)
    if view_layer in layers:
        layers = [view_layer]
    elif view_layer and len(layers) > 1:
        return None
    for prefix in (*(f"{layer}." for layer in layers), ""):  # File Output nodes write no view layer
        for endings in PASSES[name]:
            found = tuple(prefix + ending for ending in endings)
            if all(channel in names for channel in found):
                return found
    return None


def view_layers(names: Collection[str]) -> list[str]:
    """The view layers that a file knows, in its order."""
    endings = [
        f".{ending}"
        for kinds in PASSES.values()
        for kind in kinds
        for ending in kind
        if "." in ending
    ]
    found = {
        name.removesuffix(ending): None
        for name in names
        for ending in endings
        if name.endswith(ending)
    }
    return [layer for layer in found if layer != COMPOSITE] or list(found)


def _head(file: BinaryIO) -> list[str] | None:
    """The channels of the next part's header; None where there is no further one."""
    names: list[str] = []
    attribute = _word(file)
    if not attribute:
        return None
    while attribute:
        kind = _word(file)
        (size,) = struct.unpack("<i", file.read(4))
        body = file.read(size)
        if len(body) < size:
            raise ValueError
        if kind == "chlist":
            names = _names(body)
        attribute = _word(file)
    return names


def _names(body: bytes) -> list[str]:
    """Of a list of channels: each a name, a zero and 16 bytes; and a zero."""
    names: list[str] = []
    while body[:1] not in (b"", b"\0"):
        name, _, rest = body.partition(b"\0")
        names.append(name.decode("utf-8"))
        body = rest[16:]
    return names


def _word(file: BinaryIO) -> str:
    """The text up to the next zero."""
    letters = bytearray()
    while (letter := file.read(1)) != b"\0":
        if not letter or len(letters) > LONGEST_NAME:
            raise ValueError
        letters += letter
    return letters.decode("utf-8")
