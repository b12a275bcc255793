# -*- test-case-name: tests.test_cli -*-
"""``python -m tunnelsvc`` is the command ``tunnelsvc``."""

import signal
import sys


def main() -> int:
    """Run the command; Ctrl-C ends it without a traceback even before the reactor heeds it.

    Returns:
        The exit status.

    Raises:
        SystemExit: as `tunnelsvc.cli.main`.
    """
    try:
        # Its imports take the most time.
        from tunnelsvc.cli import main as command  # noqa: PLC0415

        return command()
    except KeyboardInterrupt:
        # A shell wants to see that it was the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        raise  # where the signal is blocked


if __name__ == "__main__":
    sys.exit(main())
