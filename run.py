"""The one command: `python run.py experiments/fraud_ae.py --option value`; `--help` teaches."""

import sys

from jaxdl.cli import main

if __name__ == "__main__":
    sys.exit(main())
