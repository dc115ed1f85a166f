"""Finished runs made by hand, for tests of what reads them."""

import json
from pathlib import Path

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8ffff"
    "ff7f0009fb03fd2a86e38a0000000049454e44ae426082"
)


def store_run(folder: Path, auprc=(0.2, 0.3, 0.4), lab="fraud_ae", kind="real", **options) -> Path:
    """A run folder with one table: a detector with a value for each seed, and a random score."""
    rows = [
        {"detector": "autoencoder", "AUPRC": list(auprc), "rows": 100},
        {"detector": "random score", "AUPRC": 0.01, "rows": 100},
    ]
    config = {
        "lab": lab,
        "preset": "quick",
        "seed": 0,
        "seeds": len(auprc),
        "source": "auto",
        "options": {"epochs": 3, "widths": [12], **options},
    }
    results = {
        "lab": lab,
        "title": f"The lab {lab}",
        "command": f"python run.py experiments/{lab}.py",
        "data": [{"name": "payments", "kind": kind, "sha256": "ab" * 32}],
        "simulated": kind == "simulated",
        "n_seeds": len(auprc),
        "tables": [{"title": "Ranking", "rows": rows}],
        "notes": [],
        "files": [],
        "timing": {"run_seconds": 12.3},
        "headline": {"AUPRC": list(auprc)},
    }
    machine = {"python": "3.12.1", "devices": ["cpu"], "versions": {"jax": "0.9"}}
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "errors.png").write_bytes(PNG)
    for name, value in (("config", config), ("results", results), ("environment", machine)):
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    (folder / "report.html").write_text("<p>report</p>", "utf-8")
    return folder


def change(folder: Path, name: str, **values) -> None:
    """Put other values into a record of a run."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")
