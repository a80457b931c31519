"""Installs t2vz, tries it, tests it: `python3 install.py demo | test | engine | extension`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036, the sentence for whoever starts it with an older one
    sys.exit(
        "t2vz needs Python 3.11 or newer, this is %s; start install.py with a newer one."
        % sys.version.split()[0]
    )  # noqa: UP031

from installer.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
