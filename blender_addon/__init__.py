"""Text2Video-Zero in Blender: the order of registration."""
