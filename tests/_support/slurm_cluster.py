"""A SLURM cluster of one node, on loopback, in a temporary folder.

``python tests/_support/slurm_cluster.py COMMAND`` runs a command in one.
Its daemons, munge's too, are children of this process with keys, ports and logs of their own: nothing of the machine's
is touched, and nothing is left.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "scontrol")

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A job that was put back waits until its old credentials have expired: 121 seconds unless told otherwise.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Unavailable(Exception):  # noqa: N818  # a reason to skip
    """Why there is no cluster here."""


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start it, and stop it in the end.

    Args:
        folder: for everything that it writes.

    Yields:
        The environment in which SLURM's commands find it.

    Raises:
        Unavailable: a program is not installed, or a daemon does not start; with its last words.
    """
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        raise Unavailable(f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge")
    conf = _prepare(folder)
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    munged = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    # --force: a temporary folder may be open to others, which munge warns of.
    daemons = {
        "munged": ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munged],
        "slurmctld": ["slurmctld", "-D", "-f", str(conf)],
        "slurmd": ["slurmd", "-D", "-f", str(conf)],
    }
    with ExitStack() as running:
        started = {name: running.enter_context(_daemon(daemons[name], folder, environment)) for name in daemons}
        _wait_until_idle(started, folder, environment)
        yield environment


def _prepare(folder: Path) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        ports = (one.getsockname()[1], two.getsockname()[1])
    host = socket.gethostname().split(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(folder=folder, host=host, ports=ports, user=getpass.getuser()))
    return conf


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if command[0] == "munged":  # the other two give up at once where it does not answer yet
        while not (folder / "munge.socket").exists() and process.poll() is None:
            time.sleep(0.1)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_idle(daemons: dict[str, subprocess.Popen[bytes]], folder: Path, environment: dict[str, str]) -> None:
    def state() -> str:
        ask = ["sinfo", "--noheader", "--format=%T"]
        return subprocess.run(ask, env=environment, capture_output=True, text=True).stdout.strip()

    end = time.monotonic() + 40
    while state() != "idle":
        for name, process in daemons.items():
            if process.poll() is not None or time.monotonic() > end:
                words = (folder / f"{name}.out").read_text(errors="replace").splitlines()[-3:]
                raise Unavailable(f"{name} does not start here: {' '.join(words) or state()}")
        time.sleep(0.5)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as variables:
        sys.exit(subprocess.run(sys.argv[1:], env=variables).returncode)
