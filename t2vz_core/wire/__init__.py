"""What the Blender side and the engine say to each other; standard library only."""
