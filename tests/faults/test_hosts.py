"""Two processes that train together: one killed, one frozen; then the same command again."""

import signal
import socket
import time

import pytest

from tests.faults.conftest import times
from tests.runs_in_processes import outcome, start, wait_for_training

pytestmark = pytest.mark.faults

LAB = ("tiny", "--epochs", "12", "--device", "cpu", "--multihost")


def pair(folder, save_every=0.0):
    """Both processes of a run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}
    return [
        start(folder, *LAB, environment={**cluster, "JAX_PROCESS_ID": rank}, save_every=save_every)
        for rank in "01"
    ]


def finish_pair(folder):
    processes = pair(folder, save_every=1e9)
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outcome(folder)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return finish_pair(tmp_path_factory.mktemp("pair") / "run")


@pytest.mark.parametrize("rank", [0, 1])
def test_f10_one_of_two_is_killed(together, tmp_path, tally, rank):
    """The other ends and does not hang; JAX's own watch over its peers takes up to 100 s."""
    tally.item = f"F10 two processes, number {rank} killed: the other ends, both go on"
    for trial in range(times(1, 10)):
        folder = tmp_path / str(trial)
        processes = pair(folder)
        wait_for_training(processes[0], folder)
        time.sleep(0.1 * trial)
        processes[rank].kill()
        try:
            processes[1 - rank].communicate(timeout=180)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        tally.check(finish_pair(folder) == together, "the resumed pair differs")


def test_f11_one_of_two_is_frozen(together, tmp_path, tally):
    """Nothing here watches for a peer that stands still: the other waits, and both go on."""
    tally.item = "F11 two processes, one frozen for two seconds: the other waits, both finish"
    for trial in range(times(1, 3)):
        folder = tmp_path / str(trial)
        processes = pair(folder)
        wait_for_training(processes[0], folder)
        processes[trial % 2].send_signal(signal.SIGSTOP)
        time.sleep(2)
        processes[trial % 2].send_signal(signal.SIGCONT)
        outputs = [process.communicate(timeout=300)[0] for process in processes]
        tally.check([process.returncode for process in processes] == [0, 0], outputs)
        tally.check(outcome(folder) == together, "the outcome differs")
