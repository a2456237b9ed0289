"""The recipes, one kind a file, and the order in which they are worth trying."""

from collections.abc import Callable, Sequence
from typing import Any

from edgefn.compress.recipe import Recipe, by_name


def all_recipes(
    student: Callable[[], Any] | None = None, student_version: str = ""
) -> tuple[Recipe, ...]:
    """Returns every recipe: those first that most often make a better variant, and cheaply.

    None of their tools is imported for it.

    Args:
        student: Returns a smaller, untrained `torch.nn.Module` to distil the model into; without
            one there is no distillation.
        student_version: Changes whenever the student may.
    """
    from edgefn.compress.recipes.fp16 import Fp16
    from edgefn.compress.recipes.fp32 import Fp32
    from edgefn.compress.recipes.int4 import Int4
    from edgefn.compress.recipes.int8_dynamic import Int8Dynamic
    from edgefn.compress.recipes.int8_static import Int8Static
    from edgefn.compress.recipes.litert import litert_recipes
    from edgefn.compress.recipes.low_rank import LowRank
    from edgefn.compress.recipes.then import Then

    litert = by_name(litert_recipes())
    after = (Int8Static(), litert["litert-fp32"], litert["litert-int8-static"])
    low_rank = Then(LowRank(), Int8Dynamic(), "onnx-low-rank-int8-dynamic")
    return (
        Fp32(), Int8Static(), *litert.values(), Int8Dynamic(), Fp16(), Int4(), LowRank(), low_rank,
        *_trained(student, student_version, after),
    )  # fmt: skip


def _trained(
    student: Callable[[], Any] | None, student_version: str, then: Sequence[Recipe]
) -> list[Recipe]:
    """Returns the recipes that train a network, each alone and followed by others."""
    from edgefn.compress.recipes.once import Once
    from edgefn.compress.recipes.pruning import pruning_recipes
    from edgefn.compress.recipes.then import Then

    trained: list[Recipe] = [*pruning_recipes()]
    if student is not None:
        from edgefn.compress.recipes.distillation import Distilled

        trained.append(Distilled(student, student_version))
    recipes: list[Recipe] = []
    for first in map(Once, trained):
        recipes.append(first)
        for second in then:
            backend, kind = second.name.split("-", 1)
            _, shape = first.name.split("-", 1)
            recipes.append(Then(first, second, f"{backend}-{shape}-{kind}"))
    return recipes
