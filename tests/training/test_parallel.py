"""One program on one device, on eight simulated devices, and in two processes."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

LAB = ["run.py", "experiments/fraud_ae.py", "--preset", "quick", "--source", "simulated"]
SMALL = ["--twin-rows", "4000", "--epochs", "2", "--seeds", "2"]
# Sums over devices are added in another order than on one: float32 losses agree to this.
TOLERANCE = 2e-5


def start(folder, *options, **environment):
    command = [sys.executable, *LAB, *SMALL, "--workdir", str(folder), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["fit"] == "autoencoder"]
    return np.array([[line["train_loss"], line["valid_loss"]] for line in lines])


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel") / "one"
    process = start(folder, "--device", "cpu")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return folder


def test_eight_devices_agree_with_one_and_restore_its_checkpoint(on_one_device, tmp_path):
    process = start(tmp_path / "eight", "--device", "cpu:8")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    environment = json.loads((tmp_path / "eight" / "environment.json").read_text())
    assert len(environment["devices"]) == 8
    np.testing.assert_allclose(losses(tmp_path / "eight"), losses(on_one_device), rtol=TOLERANCE)
    for run, device in ((on_one_device, "cpu:8"), (tmp_path / "eight", "cpu")):
        command = [sys.executable, "run.py", "--eval", str(run), "--device", device]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "finished before" in done.stdout


def test_a_batch_that_does_not_divide_is_one_line(tmp_path):
    process = start(tmp_path / "run", "--device", "cpu:3")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "batch size 128 does not divide by 3 devices" in out


def test_two_processes_train_together_and_agree_with_one(on_one_device, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}
    folder = tmp_path / "two"
    processes = [
        start(folder, "--device", "cpu", "--multihost", JAX_PROCESS_ID=str(rank), **cluster)
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "Autoencoder decisions" in outputs[0]
    assert "Autoencoder decisions" not in outputs[1]
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2
    np.testing.assert_allclose(losses(folder), losses(on_one_device), rtol=TOLERANCE)


def test_multihost_without_a_cluster_is_one_line(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI"))}
    command = [sys.executable, *LAB, "--multihost", "--workdir", str(tmp_path / "run")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 2
    assert "--multihost found no cluster" in done.stderr


SAME_START = """
import jax, numpy as np
from jaxdl.models.resnet import ResNet
from jaxdl.training import parallel

def start():
    model = ResNet(1, "projection", (4, 8, 8), 3)
    return model.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32), False)

quick = jax.jit(start, compiler_options=parallel.quick_compilation())()
assert jax.tree.all(jax.tree.map(np.array_equal, jax.jit(start)(), quick))
print(parallel.quick_compilation())
"""


def test_a_quickly_compiled_start_has_the_same_bits():
    """Elsewhere in the tests nothing is optimised, and there is nothing to leave out."""
    command = [sys.executable, "-c", SAME_START]
    optimised = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "JAX_PLATFORMS": "cpu"}
    printed = [
        subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=True
        ).stdout
        for env in (os.environ, optimised)
    ]
    assert printed == ["None\n", "{'xla_backend_optimization_level': 1}\n"]
