import bpy

bpy.context.scene.t2vz.style = "oil painting, thick brush strokes, rich colours"
