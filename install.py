"""Installs t2vz, tries it, tests it: `python3 install.py demo | test | engine | extension`."""

import sys

# the sentence for whoever starts it with an older one, which knows no f-string of ours
if sys.version_info < (3, 11):  # noqa: UP036
    said = "t2vz needs Python 3.11 or newer, this is {}; start install.py with a newer one."
    sys.exit(said.format(sys.version.split()[0]))

from installer.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
