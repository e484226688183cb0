"""Origin of an imported model, and its agreement with the original, as its card states them."""

from __future__ import annotations

from pydantic import Field

from napari_tumorseg.toml_table import TomlTable


class Certificate(TomlTable):
    """Agreement of an imported network with the original framework on the same random inputs.

    Attributes
    ----------
    framework : str
        Name and version of the framework that ran the original, such as ``Keras 3.15.1``.
    largest_difference : float
        Largest absolute difference between the two outputs, probabilities where the original gives these.
    inputs : str
        Number and shape of the inputs.
    seed : int
        Seed of the inputs.
    """

    framework: str
    largest_difference: float = Field(ge=0)
    inputs: str
    seed: int = 0

    def as_text(self) -> str:
        """Return the agreement as one phrase."""
        return f"differs from {self.framework} by at most {self.largest_difference:.2g} on {self.inputs}"


class Origin(TomlTable):
    """Origin of an imported model.

    Attributes
    ----------
    kind : str
        Kind of the file, by its name in the table of importable kinds.
    file : str
        Name of the file or folder, without the path.
    sha256 : str
        SHA-256 of the file; empty for a folder.
    format : str
        Format and version that the file states.
    certificate : Certificate or None
        Agreement with the original framework; None where that was not installed at the import.
    """

    kind: str
    file: str
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    format: str = ""
    certificate: Certificate | None = None

    def as_text(self) -> str:
        """Return the origin as one sentence."""
        text = f"Imported from {self.file} ({self.format or self.kind})"
        return f"{text}; {self.certificate.as_text()}" if self.certificate else f"{text}; not compared"
