"""What optimised forms are kept under: engine and processor, and nothing that does not matter."""

import re
from importlib import metadata

import pytest

from edgefn.box.optimised_key import engine_of, key_of, processor_of
from edgefn_runtime.manifest import Environment

X86 = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 151
cpu MHz\t\t: 1497.6
flags\t\t: fpu sse4_2 avx2 fma

processor\t: 1
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 151
cpu MHz\t\t: 800.0
flags\t\t: fpu sse4_2 avx2 fma
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd crc32 asimdhp
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def lock(*lines: str) -> Environment:
    """Returns an environment with these lines in its lock."""
    text = "".join(f"{line} --hash=sha256:{'a' * 64}\n" for line in lines)
    return Environment(lock=text, python="3.11", wheels=())


@pytest.mark.parametrize("cpuinfo", [X86, ARM])
def test_what_changes_by_itself_is_left_out(cpuinfo: str) -> None:
    """Clock rates, the order of features, how many cores are awake."""
    first_core = cpuinfo.partition("\n\n")[0]
    reordered = re.sub(r"(fp\w*) (\w+)", r"\2 \1", re.sub(r"\d+\.\d+", "1.0", first_core))
    assert reordered != cpuinfo
    assert processor_of(reordered) == processor_of(cpuinfo) != ""


@pytest.mark.parametrize(
    ("old", "new"), [("avx2", "avx2 avx512f"), (" fma", ""), ("151", "154"), ("Intel", "Else")]
)
def test_another_processor_has_another_key(old: str, new: str) -> None:
    """It has one feature more or less, or is another model."""
    here, there = processor_of(X86), processor_of(X86.replace(old, new))
    assert key_of("1.20", here) != key_of("1.20", there)
    assert key_of("1.20", here) != key_of("1.21", here)


def test_every_kind_of_core_counts() -> None:
    """Of a processor with two kinds, a form is good for these two and not for either alone."""
    small = ARM.replace("0xd0b", "0xd05")
    assert len({processor_of(text) for text in (ARM, small, ARM + small)}) == 3


def test_without_a_key_where_one_cannot_be_told() -> None:
    """An unknown processor or no engine: there are no forms then, rather than wrong ones."""
    assert processor_of("model name\t: unheard of\n") == ""
    assert key_of("1.20", "") == key_of("", processor_of(X86)) == ""


def test_the_engine_is_the_one_that_replicas_import() -> None:
    """The environment's own where its lock has one that applies, else that of the box."""
    box = metadata.version("onnxruntime")
    assert engine_of(None) == engine_of(lock("scipy==1.16.0")) == box
    assert engine_of(lock("onnxruntime==1.2.3")) == "1.2.3"
    assert engine_of(lock('onnxruntime==1.2.3 ; sys_platform == "win32"')) == box
    assert engine_of(Environment(lock="no lock", python="3.11", wheels=())) == ""
