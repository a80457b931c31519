import bpy

bpy.context.scene.t2vz.style = "claymation, plasticine figures, studio light"
