"""`python -m jaxdl.live`: see `jaxdl.serving.live`."""

import sys

if __name__ == "__main__":
    from jaxdl.serving.live import main

    sys.exit(main())
