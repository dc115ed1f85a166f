"""The one command: `python run.py experiments/fraud_ae.py --option value`; `--help` teaches."""

from jaxdl.cli import script

if __name__ == "__main__":
    script()
