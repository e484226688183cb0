"""Connection to Dask distributed; needs the extra ``cluster``."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari_tumorseg.errors import ClusterError
from napari_tumorseg.extras import to_install

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""Stands for workers on this machine, in place of an address."""

_PATIENCE = 10.0
"""Seconds in which a scheduler has to answer."""

_REPLACED = 300.0
"""Seconds in which a local worker that died is replaced; the 15 s of Dask are too few on a busy machine."""

_HERE = "127.0.0.1:0"
"""Address that no other machine reaches, at any port."""

_CONFIG = {
    "distributed.deploy.lost-worker-timeout": _REPLACED,
    "distributed.worker.profile.enabled": False,  # it looks at each worker a hundred times a second
}
"""Settings of Dask for local workers."""

_PRELOAD = [__name__]
"""Modules that local workers load at their start."""


def dask_setup(_: object) -> None:
    """Let a local worker ignore Ctrl-C, which reaches it too: cases that are running are to be finished.

    Dask calls a function of this name when a worker starts that was told to load this module.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connected(where: str | Client, workers: int, threads: int) -> Iterator[Client]:
    """Yield a client of a scheduler.

    Parameters
    ----------
    where : str or distributed.Client
        Address of a scheduler, `LOCAL`, or a client, which stays open.
    workers, threads : int
        Number of local workers, and of threads that the network has in each.

    Raises
    ------
    ClusterError
        If Dask distributed is not installed, or no scheduler answers.
    """
    if not isinstance(where, str):
        yield where
    elif where == LOCAL:
        with _local(workers, threads) as client:
            yield client
    else:
        with _at(where) as client:
            yield client


def count_workers(address: str) -> int:
    """Return the number of workers that a scheduler has at the moment; see `connected` for errors."""
    with _at(address) as client:
        return len(client.nthreads())


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ClusterError(f"Dask distributed is not installed: {to_install('cluster')}") from None
    return distributed


@contextmanager
def _local(workers: int, threads: int) -> Iterator[Client]:
    """Yield a client of a cluster on this machine that is reached from nowhere else."""
    distributed = _distributed()
    import dask

    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    with (
        dask.config.set(_CONFIG),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=_HERE,
            worker_dashboard_address=_HERE,
            silence_logs=logging.CRITICAL,
            env=environment,
            preload=_PRELOAD,
            scheduler_kwargs={"allowed_failures": 0},  # cases of a worker that died are run again alone
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
        # a cluster that is closed while it replaces a worker may wait for that one for ever
        with suppress(TimeoutError):
            client.wait_for_workers(workers, timeout=_REPLACED)


def _at(address: str) -> Client:
    try:
        client: Client = _distributed().Client(address, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(f"no Dask scheduler answers at {address}: {reason}") from error
    return client
