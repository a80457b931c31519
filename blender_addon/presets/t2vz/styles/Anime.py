import bpy

bpy.context.scene.t2vz.style = "anime, cel shading, clean lines, vivid colours"
