"""A disk that refuses is one sentence, on both sides."""

import errno

import pytest

from t2vz_core.wire.disk import disk_sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a.png"),
            "The disk is full (a.png): make room",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/ro"),
            "/ro cannot be written: choose another",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/ro"),
            "/ro cannot be written: choose another",
        ),
        (
            FileExistsError(errno.EEXIST, "File exists", "/dev/null"),
            "/dev/null: a file lies where a folder is needed",
        ),
        (
            IsADirectoryError(errno.EISDIR, "Is a directory", "a.npy"),
            "a.npy: a folder lies where a file is needed",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "the job folder: File name too long."),
    ],
)
def test_what_was_refused_and_what_to_do_is_said(error, said):
    assert disk_sentence(error).startswith(said)
