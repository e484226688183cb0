"""Networks of a fine-tuned model: those of the parent, and the tuned ones between trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import ModelError
from napari_tumorseg.finetuning.choice import Option
from napari_tumorseg.finetuning.plan import Job
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.models.card import ModelCard, Network
from napari_tumorseg.models.ensemble import Ensemble, members_of
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.store import Model
from napari_tumorseg.models.weight_files import State, load_state_dict, save_weights
from napari_tumorseg.training.tuning import arguments_of, mixed, network_with, widened_weights


@dataclass(frozen=True)
class Held(Model):
    """A model whose network is at hand."""

    net: SegmentationNetwork | None = None

    def load(self) -> SegmentationNetwork:
        """Return the network."""
        assert self.net is not None
        return self.net


class Networks:
    """First weights of each network to be tuned, and the tuned ones.

    Parameters
    ----------
    parent : Model
        The model to start from.
    card : ModelCard
        Its card with the input of the new model.
    folder : Path
        Folder of the tuned weights.

    Raises
    ------
    ModelError
        If the parent's networks cannot be trained.
    """

    def __init__(self, parent: Model, card: ModelCard, folder: Path) -> None:
        self.parent, self.card, self.folder = parent, card, folder
        self.parent_net = parent.load()
        self._nets = members_of(self.parent_net)
        if parent.card.input.plane == "volume" or not all(net.given.trainable for net in self._nets):
            raise ModelError(f"the networks of {parent.name} cannot be trained here")
        self._starts: dict[int, State] = {}

    def network(self, member: int) -> Network:
        """Return the architecture of a network, with all its arguments."""
        place = member % len(self._nets)
        members = self.parent.card.members
        stated = (members[place].network if members else None) or self.parent.card.network
        arguments = arguments_of(
            stated.model_copy(update={"arguments": self._nets[place].arguments}),
            self.card.input,
            len(self.card.output.names),
        )
        return stated.model_copy(update={"arguments": arguments})

    def start(self, member: int) -> State:
        """Return the first weights of a network: the parent's, made to fit the new input."""
        place = member % len(self._nets)
        if place not in self._starts:
            network = self.network(member)
            empty = make_network(network.architecture, network.arguments)
            state = self._nets[place].state_dict()
            before, after = self.parent.card.input, self.card.input
            self._starts[place] = widened_weights(state, before, after, empty)
        return self._starts[place]

    def keep(self, job: Job, state: State) -> None:
        """Store tuned weights."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_weights(state, self._path(job))

    def tuned(self, job: Job) -> State | None:
        """Return tuned weights; None before they are stored."""
        return load_state_dict(self._path(job)) if self._path(job).is_file() else None

    def mixture(self, job: Job, share: float) -> State:
        """Return weights between the first ones and the tuned ones."""
        tuned = self.tuned(job)
        assert tuned is not None
        return mixed(self.start(job.member), tuned, share)

    def after(self, jobs: Sequence[Job], option: Option) -> Held:
        """Return the model of some tuned networks with an option."""
        nets = [self._net(job, option.share) for job in jobs]
        net = nets[0] if len(nets) == 1 else Ensemble(nets, self.card.output.activation).eval()
        output = self.card.output.model_copy(update={"threshold": option.threshold})
        card = self.card.model_copy(update={"output": output, "members": (), "sha256": ""})
        return Held(card, self.parent.weights, "file", net)

    def before(self) -> Held:
        """Return the parent with its network."""
        return Held(self.parent.card, self.parent.weights, self.parent.origin, self.parent_net)

    def _net(self, job: Job, share: float) -> SegmentationNetwork:
        outputs = len(self.card.output.names)
        return network_with(self.mixture(job, share), self.network(job.member), self.card.input, outputs)

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.name}.safetensors"


def numbered(states: Sequence[Mapping[str, object]]) -> State:
    """Return the weights of several networks in one, as files of ensembles hold them."""
    if len(states) == 1:
        return dict(states[0])  # type: ignore[arg-type]
    return {f"{i}.{key}": value for i, state in enumerate(states) for key, value in state.items()}  # type: ignore[misc]
