"""Cannot even start: a broken environment."""

raise SystemExit("No module named t2vz_core")
