"""What install.py is made of: environments, packages, Blender, demo, tests; standard library
only."""
