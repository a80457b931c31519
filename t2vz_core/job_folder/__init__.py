"""A job's folder as the engine reads and fills it: passes, EXR files, frames."""
