"""What it means when a disk refuses, in the sentence that both sides say."""

import errno


def disk_sentence(error: OSError) -> str:
    """What was refused and what to do; the system's own words are not enough."""
    where = error.filename or "the job folder"
    if error.errno == errno.ENOSPC:
        return (
            f"The disk is full ({where}): make room and generate again; "
            "frames already done are kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} cannot be written: choose another output folder or change its permissions."
    if error.errno == errno.EISDIR:
        return f"{where}: a folder lies where a file is needed; move it away."
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{where}: a file lies where a folder is needed; choose another output folder."
    return f"{where}: {error.strerror or error}."
