import bpy

bpy.context.scene.t2vz.style = ""
