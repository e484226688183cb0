"""``tumorseg models``: list of the models, and their cards."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json, show_warnings
from napari_tumorseg.notice import RESEARCH_USE


def models(
    name: Annotated[
        str | None, typer.Argument(help="Name or path of a model whose card to show.", show_default=False)
    ] = None,
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback",
            help="Put the version before the present one of your model NAME in its place; a model without an "
            "earlier version is taken out of the list. Nothing is deleted.",
        ),
    ] = False,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Version that --rollback puts in place.", show_default=False),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the models, or show the card of one."""
    if rollback:
        _roll_back(name, version)
        return
    from napari_tumorseg.models import get_model, list_models, unusable_models, user_folder

    if name is not None:
        card = get_model(name).card
        if as_json:
            show_json(card.model_dump(mode="json"))
        else:
            console().print(card.as_text(), markup=False)
        return
    found = list_models()
    show_warnings(unusable_models().values())
    if as_json:
        show_json([{**m.card.model_dump(mode="json"), "origin": m.origin} for m in found])
        return
    from rich.table import Table

    table = Table("model", "needs", "also uses", "gives", "origin", "licence")
    table.columns[0].no_wrap = True
    for model in found:
        given, about = model.card.input, model.card.about
        needs = " or ".join("+".join(map(str, roles)) for roles in given.least)
        more = ", ".join(role for role in given.roles if all(role not in roles for roles in given.least))
        table.add_row(
            model.name, needs, more, ", ".join(model.card.output.names), model.origin, about.licence
        )
    screen = console()
    screen.print(table)
    screen.print(f"{RESEARCH_USE} The weights have the licence shown.")
    screen.print(f"Models of your own are looked for in {user_folder()}", markup=False)


def _roll_back(name: str | None, version: str | None) -> None:
    from napari_tumorseg.models.versions import roll_back

    if name is None:
        raise typer.BadParameter("name the model whose earlier version to use")
    console().print(roll_back(name, version).sentence, markup=False)
