"""Jobs that travel: packed and unpacked, handed to a farm, worked on by many machines at once."""
