# -*- test-case-name: tests.test_cli -*-
"""``python -m tunnelsvc`` is the command ``tunnelsvc``."""

import sys

from tunnelsvc.cli import main

if __name__ == "__main__":
    sys.exit(main())
