"""Runs a script in the bpy module as `blender -b [SCENE] --python-exit-code 1 -P SCRIPT -- …`
would."""

import os
import runpy
import sys
import traceback

import bpy  # pyright: ignore[reportMissingImports]  # inside Blender alone

before = sys.argv[: sys.argv.index("--")]
opened = before[2 : before.index("--python-exit-code")]
code = 0
try:
    if opened:
        bpy.ops.wm.open_mainfile(filepath=opened[0])
    runpy.run_path(before[-1], run_name="__main__")
except SystemExit as leaving:
    code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
# Some bpy wheels crash or hang in the interpreter's own exit.
os._exit(code)
