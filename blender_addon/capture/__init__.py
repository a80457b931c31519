"""The scene becomes arrays, and is left as it was."""
