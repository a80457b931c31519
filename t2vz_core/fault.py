"""The exception whose text is a sentence for the artist."""


class Fault(Exception):
    """Something the artist can put right: the text says what was wrong and what to do, without a
    traceback."""


class Cancelled(Exception):
    """The job was asked to stop."""
