"""``tumorseg calibrate``: intervals of volumes, from a cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json
from napari_tumorseg.cli.parse import parse_names

if TYPE_CHECKING:
    from napari_tumorseg.scan import Role


def calibrate(
    model: Annotated[
        str, typer.Argument(help="Path of a model, or name of one of yours.", show_default=False)
    ],
    evaluations: Annotated[
        list[Path],
        typer.Argument(
            help="Folders that `evaluate` has written, of models that were not trained on the cases.",
            show_default=False,
        ),
    ],
    source: Annotated[
        str, typer.Option("--source", help="Origin of the figures, for the card.", show_default=False)
    ] = "",
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--roles",
            help="Modalities that the cases had, if not all of the model's, such as flair,t1c: the intervals "
            "hold for such scans alone.",
            show_default=False,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a model's errors of volumes on patients it was not trained on into its card.

    From then on, `segment`, the panel and the reports give each volume an interval. Evaluate the folds of a
    cross-validation, or an ensemble of folds with --unseen-members.
    """
    from napari_tumorseg.errors import ModelError
    from napari_tumorseg.evaluation.calibration import calibrate as calibrated
    from napari_tumorseg.models import get_model

    chosen = get_model(model)
    if chosen.origin == "built-in":
        raise ModelError(f"{chosen.name} comes with the program; copy its weights and card to change them")
    made = calibrated(chosen, evaluations, source, _roles(roles))
    if as_json:
        show_json([one.model_dump(mode="json") for one in made.card.intervals])
        return
    from napari_tumorseg.report.evaluation_tables import calibration_table

    screen = console()
    screen.print(calibration_table(made.card))
    screen.print(f"wrote {made.weights.with_suffix('.toml')}", markup=False)


def _roles(texts: list[str] | None) -> list[Role]:
    from napari_tumorseg.scan import MODALITIES, Role

    names = [name.lower() for name in parse_names(texts)]
    wrong = next((name for name in names if name not in list(MODALITIES)), None)
    if wrong is not None:
        raise typer.BadParameter(f"--roles are of {', '.join(MODALITIES)}, not {wrong!r}")
    return [Role(name) for name in names]
