"""The notebook runs from the top, as in Colab, on the CPU and on simulated data."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_notebook_runs_shows_figures_and_evaluates(tmp_path, monkeypatch):
    # a copy, because a run folder that is there already would be restored and not trained
    for name in ("experiments", "jaxdl", "datasets", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "run.py", tmp_path)
    monkeypatch.setenv("JAXDL_NOTEBOOK_PRESET", "quick")
    monkeypatch.setenv("JAXDL_NOTEBOOK_SOURCE", "simulated")
    notebook = nbformat.read(tmp_path / "notebooks" / "colab.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    text = "".join(out.get("text", "") for out in outputs)
    assert "simulated twin" in text
    assert "identical to its results.json" in text
    assert (tmp_path / "runs" / "notebook-fraud_ae" / "scorer.jaxdl").exists()
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) > 5
