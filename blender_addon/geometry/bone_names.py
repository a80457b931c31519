"""Bone names become joints.

Presets are data: rigs/*.json, one file per kind of rig. A preset names, for each joint, the bones
whose head may be that joint, without side and in any spelling: "upper_arm" stands for upper_arm.L,
LeftUpperArm and upperarm_l alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from t2vz_core.wire.joints import JOINTS

SIDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear")
HEAD = "head"  # a bone the mapping names beside the joints: it carries the face
MAPPED = (JOINTS[0], *JOINTS[2:], HEAD)  # the neck lies half-way between the shoulders
LIMBS = JOINTS[2:14]
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
KNUCKLES = tuple(
    f"{finger}_{number}" for finger in FINGERS for number in (1, 2, 3, 4)
)  # root to tip
HANDS = tuple(f"{side}_{knuckle}" for side in ("left", "right") for knuckle in KNUCKLES)
FEWEST_LIMBS = 8  # of 12; with less it is no human
PRESETS = Path(__file__).parents[1] / "rigs"
_LEFT, _RIGHT = ("l", "left", "左"), ("r", "right", "右")


@dataclass(frozen=True)
class Preset:
    """How one kind of rig names its bones."""

    title: str
    joints: dict[
        str, tuple[str, ...]
    ]  # joint or knuckle, without or with side -> names, the best first
    prefix: str = ""  # a regular expression; what it matches before a name is not looked at


def preset_files(*folders: Path) -> tuple[tuple[Path, int], ...]:
    """The JSON files of some folders by name, each with its time of change in ns."""
    files = sorted(
        (file for folder in folders for file in folder.glob("*.json")), key=lambda file: file.stem
    )
    return tuple((file, file.stat().st_mtime_ns) for file in files)


@lru_cache(maxsize=4)  # every frame asks
def read_presets(files: tuple[tuple[Path, int], ...]) -> tuple[list[Preset], list[str]]:
    """The presets of these files, the general one last; and a sentence about each file that is
    none."""
    presets, faults = [], []
    for file, _ in files:
        try:
            presets.append(_read_preset(file))
        except ValueError as error:
            faults.append(str(error))
    return sorted(presets, key=lambda preset: preset.title == "Left/Right names"), faults


def _read_preset(file: Path) -> Preset:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        joints = {joint: tuple(names) for joint, names in value["joints"].items()}
        for finger, name in value.get("fingers", {}).items():
            joints |= {
                f"{finger}_{number}": (name.replace("#", str(number)),) for number in (1, 2, 3, 4)
            }
        re.compile(value.get("prefix", ""))
        unknown = set(joints) - {*MAPPED, *SIDED, *KNUCKLES, *HANDS}
        if unknown:
            raise ValueError(f"there is no joint {min(unknown)!r}")
        return Preset(value["title"], joints, value.get("prefix", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        raise ValueError(f"{file} is no rig preset: {error}.") from error


def write_preset(file: Path, title: str, mapping: Mapping[str, str]) -> None:
    """Saves a mapping made by hand as a preset that `read_presets` finds."""
    value = {"title": title, "joints": {joint: [bone] for joint, bone in mapping.items()}}
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def mapping_of(preset: Preset, bones: Iterable[str]) -> dict[str, str]:
    """Joint (and "head") -> bone for all that the preset finds among these bone names."""
    bones = list(bones)
    alike = {_spelled(bone, preset.prefix): bone for bone in reversed(bones)}
    mapping = {}
    for joint in (*MAPPED, *HANDS):
        side, _, part = joint.partition("_") if "_" in joint else ("", "", joint)
        exact = [name for name in preset.joints.get(joint, ()) if name in bones]
        spelled = (
            _spelled(name, preset.prefix)
            for name in preset.joints.get(joint, preset.joints.get(part, ()))
        )
        found = exact + [alike.get((own or side[:1], word)) for own, word in spelled]
        if any(found):
            mapping[joint] = next(filter(None, found))
    return mapping


def detected(
    bones: Iterable[str], presets: Iterable[Preset]
) -> tuple[Preset, dict[str, str]] | None:
    """The preset that finds the most joints, with its mapping; None if the bones are no human's."""
    bones = list(bones)
    tries = [(preset, mapping_of(preset, bones)) for preset in presets]
    tries = [
        (preset, mapping)
        for preset, mapping in tries
        if sum(j in mapping for j in LIMBS) >= FEWEST_LIMBS
    ]
    return max(
        tries, key=lambda found: sum(joint in found[1] for joint in (*LIMBS, HEAD)), default=None
    )


@lru_cache(maxsize=1 << 14)  # a rig's bones are looked at for every frame and preset
def _spelled(name: str, prefix: str) -> tuple[str, str]:
    """The side, l, r or nothing, and the rest of a bone's name, both free of how they are
    spelled."""
    name = (
        re.sub(rf"^(?:{prefix})", "", name.rpartition(":")[2])
        if prefix
        else name.rpartition(":")[2]
    )
    parts = re.findall(r"左|右|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z左右]+", name)
    parts = [part.lower() for part in parts]
    glued = re.match(r"(left|right)(?=.)", parts[0]) if parts else None
    if glued:
        parts[:1] = [glued.group(), parts[0][glued.end() :]]
    side = next(("l" if part in _LEFT else "r" for part in parts if part in _LEFT + _RIGHT), "")
    return side, "".join(part for part in parts if part not in _LEFT + _RIGHT)
