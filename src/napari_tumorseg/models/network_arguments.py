"""Base class of the arguments of networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationError

from napari_tumorseg.toml_table import TomlTable, first_problem

MAX_CHANNELS = 65536
"""More channels than this in a layer is a mistake in a card, not a network."""

MAX_LEVELS = 12

Channels: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_CHANNELS)]
Probability: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1)]


class NetworkArguments(TomlTable):
    """Arguments of a network; those without a default must be in every recipe.

    Attributes
    ----------
    in_channels, out_channels : int
        Channels of the input and of the logits; in a recipe they follow from its input and output.
    """

    in_channels: Channels
    out_channels: Channels

    @property
    @abstractmethod
    def stride(self) -> int:
        """Number of which all sides of an input must be multiples."""

    @property
    def dimensions(self) -> Literal[2, 3]:
        """Sides of an input: 2 for slices, 3 for windows of a volume."""
        return 2

    @property
    def strides(self) -> tuple[int, ...]:
        """Number of which each side of an input must be a multiple."""
        return (self.stride,) * self.dimensions

    @property
    @abstractmethod
    def normalised(self) -> bool:
        """True if convolutions are followed by a norm."""

    @property
    def sees_whole_image(self) -> bool:
        """True if a pixel of the output depends on the whole image, so that cropping changes it."""
        return False

    @property
    def pretrainable(self) -> bool:
        """True if the encoder can start from weights trained on photographs."""
        return False

    @property
    def trainable(self) -> bool:
        """True if recipes can name it."""
        return True

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Return checked arguments.

        Raises
        ------
        ValueError
            If one is missing, unknown or wrong; one line that begins with its name.
        """
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            field, _, problem = first_problem(error).partition(": ")
            name, _, _ = field.partition(".")
            for subject in ("Input should", "List should"):
                problem = problem.replace(subject, "must")
            raise ValueError(f"{name} {problem[:1].lower()}{problem[1:]}") from error
