"""Model files of every layout become networks that are ready to work."""
