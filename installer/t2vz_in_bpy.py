"""What `blender -b scene.blend -c t2vz …` is, in the bpy module: `-- FOLDER-OF-THE-ADD-ON
ARGUMENTS…`."""

import importlib
import sys

folder, *arguments = sys.argv[sys.argv.index("--") + 1 :]
sys.path.insert(0, folder)
addon = importlib.import_module("t2vz")
addon.register()
try:
    sys.exit(importlib.import_module("t2vz.run.command_line").main(arguments))
finally:
    addon.unregister()
