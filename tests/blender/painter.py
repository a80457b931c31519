"""A worker in the standard library alone: paints each frame of a job grey, then says so.

It draws conditions likewise.

`painter.py DELAY_S LAST`: waits so long before each frame; dies when it has done frame LAST (0:
lives on).
"""

import json
import os
import struct
import sys
import threading
import zlib
from pathlib import Path

SIDE = 16


def png(level):
    """A grey square picture."""
    rows = (b"\0" + bytes([level]) * SIDE) * SIDE
    parts = (
        (b"IHDR", struct.pack(">2I5B", SIDE, SIDE, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def paint(job, folder, delay_s, last, cancelled):
    frames = json.loads((folder / "job.json").read_text(encoding="utf-8"))["frames"]
    (folder / "frames").mkdir(exist_ok=True)
    for done, frame in enumerate(frames):
        say("Progress", job=job, stage="painting frames", done=done, total=len(frames), left_s=1.0)
        if cancelled.wait(delay_s):
            return say("Cancelled", job=job)
        path = f"frames/{frame['number']:04d}.png"
        (folder / path).write_bytes(png(10 * frame["number"]))
        say("FrameDone", job=job, number=frame["number"], path=path)
        if frame["number"] == last:
            os._exit(1)
    say("Finished", job=job, frames=len(frames), seconds=0.1)


def draw(job, folder):
    spec = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    for control in spec["controls"]:
        home = folder / "conditions" / control["kind"]
        home.mkdir(parents=True)
        for frame in spec["frames"]:
            (home / f"{frame['number']:04d}.png").write_bytes(png(128))
    say("Finished", job=job, frames=len(spec["frames"]), seconds=0.1)


def main():
    delay_s, last = float(sys.argv[1]), int(sys.argv[2])
    say("Ready", version="0", pid=1)
    cancelled = threading.Event()
    for line in sys.stdin:
        event = json.loads(line)
        if event["event"] == "Cancel":
            cancelled.set()
        elif event["event"] == "Preview":
            draw(event["job"], Path(event["folder"]))
        else:
            cancelled.clear()
            work = (event["job"], Path(event["folder"]), delay_s, last, cancelled)
            threading.Thread(target=paint, args=work).start()


main()
