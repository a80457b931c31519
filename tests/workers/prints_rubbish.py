"""Some library of it prints to stdout."""

import time

from talk import beat, jobs

beat()
for _ in jobs():
    print("Downloading weights… 12%", flush=True)
    time.sleep(60)
