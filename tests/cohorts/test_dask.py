"""Cohorts on Dask distributed: the same table, whatever happens to workers, folders and versions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from napari_tumorseg.cohorts import CohortSettings, cohort, dask_client, dask_worker, plan, run_plan
from napari_tumorseg.errors import ClusterError
from napari_tumorseg.io import read_mask, write_mask
from tests.builders import write_case
from tests.cohorts.conftest import brain, new, run, table

pytest.importorskip("distributed", reason="the cluster extra is not installed")

if TYPE_CHECKING:
    from distributed import Client

NAMES = ["a", "b", "c", "odd"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Return a client of two workers that are threads of this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as found,
    ):
        yield found


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of an output folder that have no times in them."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.suffix != ".json"}


def test_workers_give_the_same_files_and_leave_nothing_else(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path / "alone", settings)
    monkeypatch.chdir(tmp_path)
    assert sorted(new(run(Path("study"), Path("both"), settings, dask=client))) == NAMES
    assert files(tmp_path / "alone") == files(tmp_path / "both")
    assert {p.name for p in tmp_path.glob("alone/*/*")} == {p.name for p in tmp_path.glob("both/*/*")}
    assert new(run(data, tmp_path / "both", settings, dask=client)) == []
    assert client.status == "running"


def test_results_of_workers_that_do_not_see_the_output_folder_come_back(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_worker.Order, "is_shared", lambda _: False)
    run(data, tmp_path / "alone", settings)
    assert sorted(new(run(data, tmp_path / "out", settings, dask=client))) == NAMES
    assert files(tmp_path / "alone") == files(tmp_path / "out")
    assert {p.name for p in tmp_path.glob("alone/*/*")} == {p.name for p in tmp_path.glob("out/*/*")}
    assert new(run(data, tmp_path / "out", settings)) == []


def test_result_of_an_outdated_copy_is_not_taken(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dask_worker.run_task

    def of_a_copy(task: Any, *more: Any) -> Any:
        record = real(task, *more)
        return replace(
            record, inputs=dict.fromkeys(record.inputs, "0" * 64) if task.name == "b" else record.inputs
        )

    monkeypatch.setattr(dask_worker, "run_task", of_a_copy)
    monkeypatch.setattr(dask_worker.Order, "is_shared", lambda _: False)
    outcomes = {one.record.case: one.record for one in run(data, tmp_path / "out", settings, dask=client)}
    assert "b/b_flair.nii.gz" in outcomes["b"].reason and outcomes["a"].state == "done"
    assert not (tmp_path / "out" / "b_seg.nii.gz").exists()


def test_mask_of_another_program_is_not_replaced_by_what_comes_back(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_worker.Order, "is_shared", lambda _: False)
    planned = plan(data, tmp_path / "out", settings)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_seg.nii.gz").write_bytes(b"theirs")
    outcomes = {one.record.case: one.record for one in run_plan(planned, dask=client)}
    assert "not written by this program" in outcomes["a"].reason
    assert (tmp_path / "out" / "a_seg.nii.gz").read_bytes() == b"theirs"


def test_mask_that_a_person_makes_meanwhile_is_not_replaced_by_what_comes_back(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_worker.Order, "is_shared", lambda _: False)
    out = tmp_path / "out"
    planned = plan(data, out, settings)
    run(data, tmp_path / "made", settings)
    out.mkdir()
    seg = read_mask(tmp_path / "made" / "a_seg.nii.gz")
    drawn = replace(seg, labels=1 - seg.labels, provenance={"corrected_by_hand": True})
    write_mask(drawn, out / "a_seg.nii.gz")
    before = (out / "a_seg.nii.gz").read_bytes()
    outcomes = {one.record.case: one.record for one in run_plan(planned, dask=client)}
    assert (out / "a_seg.nii.gz").read_bytes() == before
    assert outcomes["a"].regions[0]["voxels"] == drawn.labels.sum()


def test_case_with_an_error_costs_itself_alone_and_its_name_stays_out_of_logs(
    data: Path,
    tmp_path: Path,
    settings: CohortSettings,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = dask_worker.run_task

    def broken(task: Any, *more: Any) -> Any:
        if task.name == "b":
            raise ValueError("DOE^JANE")
        return real(task, *more)

    write_case(data, {"flair": brain()}, "DOE_JANE")
    monkeypatch.setattr(dask_worker, "run_task", broken)
    run(data, tmp_path / "out", settings, dask=client)
    states = {row[0]: row[3] for row in table(tmp_path / "out")[1:]}
    assert states == {"DOE_JANE": "done", "a": "done", "b": "failed", "c": "done", "odd": "failed"}
    assert "JANE" not in (tmp_path / "out" / "cohort_records" / "b.json").read_text()
    assert "DOE" not in caplog.text


def test_worker_of_another_version_is_refused(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tumorseg.cohorts.dask_run.__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"not 0\.0\.1"):
        run(data, tmp_path / "out", settings, dask=client)
    assert not list((tmp_path / "out" / "cohort_records").iterdir())


def test_worker_with_another_model_or_without_the_data_is_refused(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client
) -> None:
    planned = plan(data, tmp_path / "out", settings)
    with pytest.raises(ClusterError, match="its models are not those"):
        list(run_plan(replace(planned, digest="of other models"), dask=client))
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(ClusterError, match="same path on all machines"):
        list(run_plan(planned, dask=client))


def test_stop_and_close_end_after_the_cases_in_hand(
    data: Path, tmp_path: Path, settings: CohortSettings, client: Client
) -> None:
    for number in range(12):
        write_case(data, {"flair": brain()}, f"more-{number:02d}")
    out, seen = tmp_path / "out", []
    planned = plan(data, out, settings)
    assert not list(run_plan(planned, dask=client, stop=lambda: True))
    for outcome in run_plan(planned, dask=client, stop=lambda: bool(seen)):
        seen.append(outcome.record.case)
    steps = cohort(data, out, settings, dask=client)
    next(one for one in steps if one.is_new)
    steps.close()  # type: ignore[attr-defined]
    begun = {p.stem for p in (out / "cohort_records").glob("*.json")}
    assert set(seen) < begun and len(begun) < 16
    assert set(new(run(data, out, settings, dask=client))) == {t.name for t in planned.tasks} - begun
    assert len(table(out)) == 17


def test_scheduler_that_is_not_there_is_named(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "_PATIENCE", 0.3)
    for address in ("tcp://127.0.0.1:9", "nothing"):
        with pytest.raises(ClusterError, match=f"no Dask scheduler answers at {address}"):
            run(data, tmp_path / "out", settings, dask=address)


_KILLER = """
import os, signal
from pathlib import Path
from napari_tumorseg.cohorts import unit, work

write = unit.Result.write

def killed(result, *more):
    case, rename = result.record.case, Path.replace
    note = Path("FOLDER", case)
    if case == "c" or case == "b" and not note.exists():
        note.touch()
        Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
    return write(result, *more)

def dask_setup(worker):
    unit.Result.write = killed
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_worker_killed_in_mid_case_is_replaced_and_only_a_case_that_kills_each_one_fails(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer.py").write_text(_KILLER.replace("FOLDER", tmp_path.as_posix()))
    for number in range(4):
        write_case(data, {"flair": brain()}, f"more-{number}")
    run(data, tmp_path / "alone", settings)
    monkeypatch.setattr(dask_client, "_PRELOAD", [dask_client.__name__, str(tmp_path / "killer.py")])
    outcomes = run(data, tmp_path / "out", settings, dask="local", jobs=2)
    assert (tmp_path / "b").exists()
    records = {one.record.case: one.record for one in outcomes}
    assert len(outcomes) == len(records) == 8
    assert "ended without a word" in records["c"].reason
    rows = [row for row in table(tmp_path / "alone") if row[0] != "c"]
    assert [row for row in table(tmp_path / "out") if row[0] != "c"] == rows
    assert sum(row[0] == "c" for row in table(tmp_path / "out")) == 1
    assert new(run(data, tmp_path / "out", settings, retry_failed=True)) == ["c", "odd"]
    assert files(tmp_path / "alone") == files(tmp_path / "out")


_INTERRUPTED = """
import os, signal, sys, threading
from napari_tumorseg.cohorts import CohortSettings, plan, run_plan

if __name__ == "__main__":
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))
    planned = plan(sys.argv[1], sys.argv[2], CohortSettings(model=sys.argv[3]))
    for outcome in run_plan(planned, jobs=2, dask="local", stop=lambda: bool(stop)):
        print(outcome.record.case, outcome.record.state, flush=True)
        if not stop:
            os.killpg(0, signal.SIGINT)  # as a terminal does: to the workers, too
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no process groups there")
def test_interrupt_of_local_workers_ends_after_the_cases_in_hand(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    for number in range(12):
        write_case(data, {"flair": brain()}, f"more-{number:02d}")
    script = tmp_path / "script.py"
    script.write_text(_INTERRUPTED)
    command = [sys.executable, str(script), str(data), str(tmp_path / "out"), str(settings.model)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, start_new_session=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 2 <= len(lines) < 16 and not any("ended without a word" in line for line in lines)
    kept = {p.stem for p in (tmp_path / "out" / "cohort_records").glob("*.json")}
    assert kept == {line.split()[0] for line in lines}


@pytest.mark.slow
def test_local_workers_are_reached_from_this_machine_alone() -> None:
    import psutil

    with dask_client.connected("local", 1, 1):
        own = psutil.Process()
        found = [one for process in (own, *own.children(recursive=True)) for one in process.net_connections()]
        listening = {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
