"""`python -m jaxdl.live`: see `jaxdl.serving.live`."""

import signal
import sys

if __name__ == "__main__":
    # until rows are read there is nothing to save: Ctrl-C ends the start without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jaxdl.serving.live import main

    sys.exit(main())
