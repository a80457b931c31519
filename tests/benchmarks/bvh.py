"""Our rasteriser beside Blender's BVHTree: the same picture of a triangle soup, processor seconds.

In a bpy module's Python, from the checkout: `python tests/benchmarks/bvh.py`.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import bpy  # noqa: F401  # mathutils is there once it is
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from blender_addon.geometry.projection import View, depths, transformed
from blender_addon.geometry.rasteriser import NONE, centre_samples, draw, no_hits

SIDE = 512
NEAR, FAR = 0.5, 20.0
CASES = ((10_000, 0.3), (100_000, 0.1), (1_000_000, 0.03))


def triangles(count: int, size: float) -> np.ndarray:
    """(count, 3, 3) before a camera at the origin that looks along −z."""
    random = np.random.default_rng(count)
    middles = random.uniform((-6, -6, -12), (6, 6, -2), (count, 3))
    return middles[:, None] + random.normal(0, size, (count, 3, 3))


def by_rasteriser(soup: np.ndarray) -> np.ndarray:
    to_pixel = np.array([[SIDE, 0, -SIDE / 2, 0], [0, -SIDE, -SIDE / 2, 0], [0, 0, -1, 0.0]])
    view = View(to_pixel, np.eye(3, 4), NEAR, FAR, SIDE, SIDE, (0, 0, SIDE, SIDE))
    samples = centre_samples(SIDE, SIDE)
    hits = no_hits(samples)
    flat = soup.reshape(-1, 3)
    corners = transformed(to_pixel, flat).reshape(-1, 3, 3)
    draw(hits, samples, view, corners, depths(view, flat).reshape(-1, 3))
    return hits.triangle


def by_bvh(soup: np.ndarray) -> np.ndarray:
    faces = np.arange(3 * len(soup)).reshape(-1, 3)
    tree = BVHTree.FromPolygons(soup.reshape(-1, 3).tolist(), faces.tolist(), all_triangles=True)
    ways = (centre_samples(SIDE, SIDE).points - SIDE / 2) / SIDE
    found = np.full(len(ways), NONE)
    for i, (x, y) in enumerate(ways.tolist()):
        way = Vector((x, -y, -1))
        index = tree.ray_cast(NEAR * way, way, (FAR - NEAR) * way.length)[2]
        if index is not None:
            found[i] = index
    return found


for count, size in CASES:
    soup = triangles(count, size)
    seconds, found = [], []
    for way in (by_rasteriser, by_bvh):
        began = time.process_time()
        found.append(way(soup))
        seconds.append(time.process_time() - began)
    hit = [int((one != NONE).sum()) for one in found]
    same = (found[0] == found[1]).mean()
    print(
        f"{count} triangles: rasteriser {seconds[0]:.2f} s, BVHTree {seconds[1]:.2f} s; "
        f"hits {hit[0]} and {hit[1]}, the same triangle at {same:.5%} of the pixels"
    )
