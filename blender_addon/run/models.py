"""The models that the panel offers, and what they can do."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import bpy

from t2vz_core.wire.homes import hub_snapshot
from t2vz_core.wire.job import DEMO_MODEL, JobSpec

from .. import preferences
from ..job import model_shelf
from ..job.model_shelf import BASE, CONTROLNET, LORA
from ..job.settings import INSTRUCT, facts_for

FRESH_S = 3.0  # a panel asks at every drawing; folders are looked through again after so long
_seen: list[tuple[float, tuple[Path, ...], list[model_shelf.Model]]] = []


def all_found() -> list[model_shelf.Model]:
    """Those in the models folder by name, and in further folders by path."""
    homes = (preferences.models_home(), *preferences.more_models_homes())
    if not _seen or _seen[0][1] != homes or time.monotonic() - _seen[0][0] > FRESH_S:
        found = model_shelf.models_in(homes[0])
        for home in homes[1:]:
            found += model_shelf.models_in(home, is_named=False)
        _seen[:] = [(time.monotonic(), homes, found)]
    return _seen[0][2]


def offered(kind: str, family: str = "") -> list[tuple[str, str]]:
    """Names and badges of the models of a kind, and of a family where one is asked for."""
    return [
        (model.name, model.badge)
        for model in all_found()
        if model.kind == kind and (not family or model.family in ("", family))
    ]


def family_of(settings: bpy.types.PropertyGroup) -> str:
    """The family of the chosen base model; "" of the demo model, which has ControlNets and LoRAs
    of its own."""
    if settings.model.base.partition("/")[0] == DEMO_MODEL:
        return ""
    return facts_for(settings, preferences.path_of_model).family


def why_not(settings: bpy.types.PropertyGroup, mode: str) -> str:
    """Why the chosen model cannot do a mode; "" where it can, or nothing tells."""
    base = settings.model.base
    if mode == INSTRUCT and base.partition("/")[0] != DEMO_MODEL:
        known = next((model for model in all_found() if model.name == base), None)
        return "" if known is None or known.is_instruct else "needs an InstructPix2Pix model"
    if mode == settings.mode and settings.control.model != DEMO_MODEL:
        return ""  # the artist has named one
    return model_shelf.missing_for(all_found(), mode, base, family_of(settings))


def with_controlnets(settings: bpy.types.PropertyGroup, spec: JobSpec) -> JobSpec:
    """The job with a fitting ControlNet wherever the artist has named none.

    Raises:
        ValueError: there is none; one sentence.
    """
    family = family_of(settings)
    if not family:
        return spec
    controls = []
    for control in spec.controls:
        if control.model == DEMO_MODEL:
            found = model_shelf.controlnet_for(all_found(), control.kind, family)
            if found is None:
                raise ValueError(_no_controlnet(control.kind, family))
            control = dataclasses.replace(control, model=preferences.stored_model(found.name))
        controls.append(control)
    return dataclasses.replace(spec, controls=tuple(controls))


def demand(settings: bpy.types.PropertyGroup, spec: JobSpec) -> None:
    """Makes sure, before anything is captured, that the job's models are here and can do it.

    Raises:
        ValueError: one is not, or cannot; one sentence.
    """
    for kind in dict.fromkeys((settings.mode, *(control.kind for control in spec.controls))):
        if reason := why_not(settings, kind):
            raise ValueError(f"The mode {kind.capitalize()} cannot be made: {reason}.")
    for name in (spec.model.base, *(control.model for control in spec.controls)):
        if not _is_here(name, spec.model.allow_network):
            raise ValueError(
                f"{name!r} is no model in {preferences.models_home()}, nor a file or folder here: "
                f"choose the model again."
            )


def _is_here(name: str, may_be_fetched: bool) -> bool:
    if name.partition("/")[0] == DEMO_MODEL or preferences.path_of_model(name) is not None:
        return True
    is_of_the_hub = name.count("/") == 1 and not Path(name).is_absolute()
    return is_of_the_hub and (may_be_fetched or hub_snapshot(name) is not None)


def _no_controlnet(kind: str, family: str) -> str:
    return (
        f"No ControlNet for {kind} and {model_shelf.FAMILIES[family]} is among your models: put "
        f"one into {preferences.models_home()} with {kind} in its name, name it under ControlNet, "
        "or choose another mode."
    )


def other_homes() -> list[Path]:
    """Folders of other programs that are there and not yet taken."""
    known = {preferences.models_home(), *preferences.more_models_homes()}
    found = model_shelf.other_homes(Path.home(), dict(os.environ))
    return [path for path in found if path not in known]


KINDS = {"base": BASE, "path": LORA, "model": CONTROLNET}  # by the name of the setting
