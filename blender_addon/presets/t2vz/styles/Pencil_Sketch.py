import bpy

bpy.context.scene.t2vz.style = "pencil sketch, hatching, white paper"
