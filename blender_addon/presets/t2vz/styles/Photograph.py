import bpy

bpy.context.scene.t2vz.style = "photograph, natural light, 35 mm, high detail"
