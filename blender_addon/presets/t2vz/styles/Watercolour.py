import bpy

bpy.context.scene.t2vz.style = "watercolour painting, soft washes, paper grain"
