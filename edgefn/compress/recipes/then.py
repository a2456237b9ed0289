"""Two recipes, the second on what the first made."""

from dataclasses import dataclass, replace

from edgefn.compress.recipe import Format, Material, Recipe, RecipeFailed, Source


@dataclass(frozen=True, slots=True)
class Then:
    """Makes a variant by one recipe after the other.

    What the model as given answers (`Material.outputs`) stays what both aim at.

    Attributes:
        first: Works on the model as it was given.
        second: Works on what the first made.
        name: Of the variant.
    """

    first: Recipe
    second: Recipe
    name: str

    @property
    def summary(self) -> str:
        """What both do."""
        return f"{self.first.summary}; then {self.second.summary}"

    @property
    def version(self) -> str:
        """Of both."""
        return f"{self.first.version};{self.second.version}"

    @property
    def format(self) -> Format:
        """Of what the second makes."""
        return self.second.format

    def missing(self) -> str:
        """Returns the one line that says what to install for them, or nothing."""
        return self.first.missing() or self.second.missing()

    def skip(self, source: Source) -> str:
        """Returns why the first is not worth trying; what it makes is not known yet."""
        return self.first.skip(source)

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the model in its new form.

        Raises:
            RecipeFailed: One of them does not work on this model.
        """
        half = replace(material, on_progress=lambda share: material.on_progress(share / 2))
        return self.finish(self.first.make(source, half), material)

    def finish(self, made: bytes, material: Material) -> bytes:
        """Returns what the second makes of what the first has made.

        Raises:
            RecipeFailed: The second does not work on it.
        """
        between = Source(data=made, format=self.first.format)
        if reason := self.second.skip(between):
            raise RecipeFailed(f"what {self.first.name} makes {reason}")
        rest = replace(material, on_progress=lambda share: material.on_progress((1 + share) / 2))
        return self.second.make(between, rest)
