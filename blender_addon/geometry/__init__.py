"""Exact geometry in plain numpy: what is seen, where it was, who hides it. No bpy."""
