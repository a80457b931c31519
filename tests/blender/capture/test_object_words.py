"""Words that artists give to objects become the job's regions."""

import bpy
import pytest

from blender_addon.capture import object_words
from blender_addon.capture.capture import object_numbers
from blender_addon.job.generation import FINISHED
from blender_addon.run import scene_job


def job_of(scene, folder):
    """The job that a scene's settings make, captured to its end."""
    generation = scene_job.generation_of(scene, None, folder)
    while generation.end is None:
        generation.step()
    assert generation.end == FINISHED, generation.error
    return generation.spec


def cube(name, parent=None):
    bpy.ops.mesh.primitive_cube_add()
    item = bpy.context.active_object
    item.name, item.parent = name, parent
    return item


def quick(scene):
    """Starts from renders that take no time."""
    scene.t2vz.start.source = "picture"
    scene.render.engine, scene.cycles.samples = "CYCLES", 1


def number(*items):
    return tuple(sorted(object_numbers()[item.name_full] for item in items))


def test_a_scene_without_words_has_no_regions(scene):
    assert object_words.regions(scene, False) == ()


def test_an_objects_words_are_about_it_and_its_children(scene):
    body = cube("body")
    hat = cube("hat", body)
    body.t2vz_words.text, body.t2vz_words.negative = "a red ball", "green"
    body.t2vz_words.strength = 0.7
    (region,) = object_words.regions(scene, False)
    assert region.ids == number(body, hat)
    assert (region.text, region.negative, region.strength) == ("a red ball", "green", 0.7)


def test_a_childs_own_words_come_before_its_parents_and_a_collections_last(scene):
    body = cube("body")
    hat = cube("hat", body)
    everything = bpy.data.collections.new("everything")
    scene.collection.children.link(everything)
    everything.objects.link(body)
    for owner, text in ((everything, "c"), (body, "b"), (hat, "h")):
        owner.t2vz_words.text = text
    assert [region.text for region in object_words.regions(scene, False)] == ["h", "b", "c"]


def test_an_armatures_words_are_about_its_skins(scene):
    bpy.ops.object.armature_add()
    rig = bpy.context.active_object
    skin = cube("skin")
    skin.modifiers.new("Armature", "ARMATURE").object = rig
    rig.t2vz_words.text = "a knight"
    assert object_words.regions(scene, False)[0].ids == number(skin)


def test_rendered_files_know_objects_by_their_pass_index(scene):
    body = cube("body")
    body.t2vz_words.text, body.pass_index = "a red ball", 12
    assert object_words.regions(scene, True)[0].ids == (12,)


def test_words_on_what_has_no_surface_get_a_sentence(scene):
    scene.camera.t2vz_words.text = "a red ball"
    with pytest.raises(ValueError, match="no surface to show them"):
        scene_job.generation_of(scene, None)


def test_words_ask_for_the_ids_pass_and_a_keyed_strength_is_written_for_each_frame(scene, tmp_path):
    body = cube("body")
    body.t2vz_words.text = "a red ball"
    edit = bpy.context.preferences.edit
    before = edit.keyframe_new_interpolation_type
    edit.keyframe_new_interpolation_type = "LINEAR"
    for frame, strength in ((1, 0.0), (3, 1.0)):
        body.t2vz_words.strength = strength
        body.keyframe_insert(object_words.STRENGTH, frame=frame)
    edit.keyframe_new_interpolation_type = before
    spec = job_of(scene, tmp_path / "job")
    assert all(frame.passes.ids for frame in spec.frames)
    assert [frame.region_strengths for frame in spec.frames] == [(0.0,), (0.5,), (1.0,)]


def test_strengths_that_are_not_keyed_stay_with_the_region(scene, tmp_path):
    body = cube("body")
    body.t2vz_words.text, body.t2vz_words.strength = "a red ball", 0.5
    spec = job_of(scene, tmp_path / "job")
    assert spec.regions[0].strength == 0.5
    assert {frame.region_strengths for frame in spec.frames} == {()}


def test_an_object_may_be_repainted_more_than_the_rest_and_frames_start_from_renders(
    scene, tmp_path
):
    body = cube("body")
    body.t2vz_words.is_repainted, body.t2vz_words.repaint = True, 0.8
    quick(scene)
    scene.t2vz.start.strength = 0.0
    spec = job_of(scene, tmp_path / "job")
    assert [(one.ids, one.strength) for one in spec.repaints] == [(number(body), 0.8)]
    assert all(frame.passes.image and frame.passes.ids for frame in spec.frames)


def test_a_keyed_start_is_written_for_each_frame(scene, tmp_path):
    quick(scene)
    for frame, strength in ((1, 0.25), (2, 0.75)):
        scene.t2vz.start.strength = strength
        scene.keyframe_insert(object_words.START, frame=frame)
    spec = job_of(scene, tmp_path / "job")
    assert [frame.start_strengths for frame in spec.frames] == [(0.25,), (0.75,), (0.75,)]


def test_repaints_without_pictures_to_start_from_are_left_out(scene):
    cube("body").t2vz_words.is_repainted = True
    assert object_words.repaints(scene) == ()
