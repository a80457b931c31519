"""Text2Video-Zero, and what goes beyond it: one technique, one file."""
