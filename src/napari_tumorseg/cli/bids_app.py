"""``tumorseg-bids``: the call of a BIDS App, ``tumorseg-bids BIDS_DIR OUTPUT_DIR participant``.

The options are those that BIDS Apps share, so that a pipeline can call this one as any other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from napari_tumorseg._version import __version__
from napari_tumorseg.cli.exits import EXIT_CODES, code_of
from napari_tumorseg.cli.output import escape_unencodable
from napari_tumorseg.cli.wording import worded
from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.notice import RESEARCH_USE

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments; lists of labels follow their option without commas."""
    codes = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    found = argparse.ArgumentParser(
        "tumorseg-bids", description=f"Segment brain tumours in a BIDS data set. {RESEARCH_USE}",
        epilog=f"Exit codes: {codes}.",
    )  # fmt: skip
    add = found.add_argument
    add("bids_dir", type=Path, help="Folder of the data set.")
    add("output_dir", type=Path, help="Folder of the derivative data set; made if necessary.")
    add("analysis_level", choices=("participant", "group"),
        help="participant: segment each session; group: put the volumes of all into one table.")  # fmt: skip
    add("--participant-label", "--participant_label", nargs="+", default=[], metavar="LABEL",
        help="Participants to do, with or without sub-; all by default.")  # fmt: skip
    add("--session-label", "--session_label", nargs="+", default=[], metavar="LABEL",
        help="Sessions to do, with or without ses-; all by default.")  # fmt: skip
    add("--bids-filter-file", "--bids_filter_file", type=Path, metavar="FILE",
        help='JSON that selects images by suffix: {"flair": {"acquisition": "ax", "run": 1}}.')  # fmt: skip
    add("--model", "-m", help="Name or path of a model; by default the one that suits the images.")
    add("--device", default="auto", help="auto, cpu, cuda or mps.")
    add("--probabilities", action="store_true", help="Also write a map for each output of the model.")
    add("--nprocs", "--n_cpus", type=_count, default=1, metavar="N", help="Sessions done at the same time.")
    add("--omp-nthreads", type=_count, metavar="N", help="Threads of each process.")
    add("-w", "--work-dir", type=Path, metavar="DIR",
        help="Accepted as by other BIDS Apps; nothing is stored between steps.")  # fmt: skip
    add("--stop-on-first-crash", action="store_true", help="Stop at the first session that fails.")
    add(
        "--overwrite",
        action="store_true",
        help="Segment sessions again that are done; masks that were corrected by hand are kept.",
    )
    add("--skip-bids-validation", "--skip_bids_validator", action="store_true",
        help="Accepted as by other BIDS Apps; the data set is not validated.")  # fmt: skip
    add("--boilerplate", action="store_true",
        help="Print a paragraph for the methods of a paper, with versions and citations.")  # fmt: skip
    add("--version", action="version", version=f"napari-tumorseg {__version__}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the app; errors meant for the user are one line."""
    escape_unencodable()
    given = parser().parse_args(arguments)
    if given.omp_nthreads:  # torch, which is not imported yet, and the processes that are started take these
        os.environ.update(dict.fromkeys(_THREADS, str(given.omp_nthreads)))
    try:
        _run(given)
    except TumorSegError as error:
        _stop(worded(error), code_of(error))
    except OSError as error:
        if error.filename is None:  # of no file: a fault of the program
            raise
        _stop(f"{error.filename} cannot be used: {error.strerror}", code_of(InputError()))
    except KeyboardInterrupt:
        _stop("cancelled; finished sessions are written, and the same command does the rest", 130)


def _run(given: argparse.Namespace) -> None:
    if given.boilerplate:
        from napari_tumorseg.cli.boilerplate import methods

        print(methods(given.model))
    elif given.analysis_level == "group":
        from napari_tumorseg.cli.bids_group import write_group

        for path in write_group(given.output_dir):
            print(f"wrote {path}")
    else:
        from napari_tumorseg.cli.bids_participants import run_participants

        run_participants(given)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _stop(sentence: str, code: int) -> NoReturn:
    print(f"tumorseg-bids: {sentence}", file=sys.stderr)
    sys.exit(code)
