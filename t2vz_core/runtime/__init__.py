"""What the engine runs on: devices, the memory there is, and what waits where."""
