"""How good a film is, by measures that need no weights."""
