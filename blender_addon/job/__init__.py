"""Settings become a job, a job becomes frames, by an engine in a process of its own. Plain Python,
no bpy."""
