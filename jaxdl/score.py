"""`python -m jaxdl.score RUN_OR_FILE INPUT`: see `jaxdl.serving.score`."""

import signal

if __name__ == "__main__":
    # until rows are read there is nothing to clean up: Ctrl-C ends the start without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from jaxdl.serving.command import run_and_leave
    from jaxdl.serving.score import main

    run_and_leave(main)
