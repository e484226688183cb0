"""The fine-tuned model: weights and card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from napari_tumorseg.finetuning.choice import Option
from napari_tumorseg.finetuning.judgement import Verdict
from napari_tumorseg.finetuning.networks import Networks, numbered
from napari_tumorseg.finetuning.plan import Job, Plan
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.models.card import About, Member, ModelCard, Tuning
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.models.versions import next_version
from napari_tumorseg.models.weight_files import save_weights, sha256


def write_candidate(
    networks: Networks,
    plan: Plan,
    option: Option,
    verdict: Verdict,
    cases: Sequence[CaseRef],
    name: str,
    folder: Path,
) -> Model:
    """Write ``folder/NAME.safetensors`` and its card; return the model."""
    make_folder(folder)
    delivered = [job for job in plan.jobs if job.delivered]
    states = [networks.mixture(job, option.share) for job in delivered]
    weights = folder / f"{name}.safetensors"
    save_weights({key: _smaller(tensor) for key, tensor in numbered(states).items()}, weights)
    card = _card(networks, delivered, plan, option, verdict, cases, name)
    card = card.model_copy(update={"sha256": sha256(weights)})
    write_text(weights.with_suffix(".toml"), card.to_toml(), overwrite=True)
    return get_model(weights)


def _smaller(tensor: Tensor) -> Tensor:
    """Return a tensor as float16 where its values allow."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if bool(half.isfinite().all()) else tensor


def _card(
    networks: Networks,
    delivered: Sequence[Job],
    plan: Plan,
    option: Option,
    verdict: Verdict,
    cases: Sequence[CaseRef],
    name: str,
) -> ModelCard:
    parent, given = networks.parent.card, networks.card
    network = networks.network(delivered[0].member)
    output = given.output.model_copy(update={"threshold": option.threshold})
    return ModelCard(
        name=name,
        title=parent.title,
        version=next_version(name, parent),
        summary=parent.summary,
        network=network,
        input=given.input,
        output=output,
        postprocessing=parent.postprocessing,
        about=_about(parent, verdict, cases, option),
        members=_members(networks, delivered, plan, cases),
        tuned=Tuning(
            parent=parent.name,
            parent_version=parent.version,
            parent_sha256=parent.sha256,
            cases=tuple(case.name for case in cases),
            share=option.share,
            patients=verdict.patients,
            dice_before=round(verdict.before, 4),
            dice_after=round(verdict.after, 4),
            p=round(verdict.p, 5),
            rehearsal_change=None if verdict.old_change is None else round(verdict.old_change, 4),
        ),
    )


def _members(
    networks: Networks, delivered: Sequence[Job], plan: Plan, cases: Sequence[CaseRef]
) -> tuple[Member, ...]:
    if len(delivered) == 1:
        return ()
    first = networks.network(delivered[0].member)
    made = []
    for job in delivered:
        network = networks.network(job.member)
        unseen = tuple(case.case for case in cases if plan.fold_of.get(case.patient) == job.fold)
        own = None if network == first else network
        made.append(Member(name=f"tuned-{job.name}", network=own, unseen=unseen))
    return tuple(made)


def _about(parent: ModelCard, verdict: Verdict, cases: Sequence[CaseRef], option: Option) -> About:
    patients = len({case.patient for case in cases})
    before = parent.about
    training = (
        f"Fine-tuned from {parent.name} (version {parent.version}) on {len(cases)} cases of {patients} "
        f"patients; the weights are {option.share:.0%} tuned and {1 - option.share:.0%} the parent's. "
        f"The parent: {before.training}"
    )
    metrics = (
        f"On {verdict.patients} patients, each left out once: mean Dice {verdict.before:.3f} with the "
        f"parent, {verdict.after:.3f} fine-tuned (p = {verdict.p:.2g}). The parent's figures do not apply."
    )
    seen = dict.fromkeys((*before.trained_on, *(case.case for case in cases)))  # `case.name` hides patients
    return before.model_copy(
        update={
            "training": training.strip(),
            "split": "By patient; the figures are of networks trained without the patient.",
            "metrics": metrics,
            "trained_on": tuple(seen),
        }
    )
