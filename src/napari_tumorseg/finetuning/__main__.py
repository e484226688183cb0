"""Process of a fine-tuning: ``python -m napari_tumorseg.finetuning FOLDER``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.finetuning.settings import read_settings


def main(run: Path) -> int:
    """Run a fine-tuning to its end at a low priority; return the exit code."""
    from napari_tumorseg.finetuning.run import finetune

    try:
        with suppress(AttributeError, OSError):  # there is none on Windows
            os.nice(read_settings(run).nice)
        finetune(run, report=lambda sentence: print(sentence, flush=True))
    except TumorSegError as error:  # it stands in the status, too
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
