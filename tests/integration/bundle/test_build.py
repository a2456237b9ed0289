"""Bundles of real folders, whose code is imported in a real process."""

import hashlib
import textwrap
from pathlib import Path

import pytest

from edgefn.bundle import reading
from edgefn.bundle.build import build
from edgefn.bundle.gather import BuildFailed
from edgefn_runtime.manifest import decode_manifest

DOUBLE = """
    from edgefn import edge_function

    @edge_function(deadline_ms=50)
    def double(x: float) -> float:
        "Twice x."
        return 2 * x
"""

MODEL_MISSING = """
    from edgefn import Model, edge_function

    @edge_function(model="m.onnx")
    def scored(x: float, model: Model) -> float: return x
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def failure(target: Path) -> BuildFailed:
    with pytest.raises(BuildFailed) as caught:
        build(str(target))
    return caught.value


def test_a_folder_becomes_a_bundle_with_all_its_files(tmp_path: Path) -> None:
    """The manifest has what was declared, and each digest leads to a file with that content."""
    write(tmp_path, "function.py", DOUBLE)
    write(tmp_path, "data/table.txt", "1 2 3")
    (bundle,) = build(str(tmp_path))
    manifest = decode_manifest(bundle.manifest.encode())
    assert (manifest.module, manifest.attribute) == ("function.py", "double")
    assert (manifest.spec.name, manifest.spec.deadline_s) == ("double", 0.05)
    assert manifest.spec.doc == "Twice x."
    assert "x" in manifest.schema.input["properties"]
    assert [file.path for file in manifest.files] == ["data/table.txt", "function.py"]
    for file in manifest.files:
        data = bundle.files[file.sha256].read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)


def test_the_same_folder_always_gives_the_same_bundle(tmp_path: Path) -> None:
    """Neither the place nor the order of creation is in the digest, and nothing is left behind."""
    for folder, names in ((tmp_path / "a", "xy"), (tmp_path / "b", "yx")):
        for name in names:
            write(folder, f"{name}.txt", name)
        write(folder, "function.py", DOUBLE)
    first, second = (build(str(tmp_path / name))[0].manifest for name in "ab")
    assert first.digest() == second.digest()
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_single_file_brings_what_it_imports_and_its_models(tmp_path: Path) -> None:
    """Modules beside it that it imports come along; other files of the folder do not."""
    write(tmp_path, "weights/m.onnx", "bytes")
    write(tmp_path, "unrelated.py", "")
    write(tmp_path, "features/__init__.py", "SCALE = 2")
    path = write(
        tmp_path,
        "scorer.py",
        """
        from edgefn import Model, edge_function
        from features import SCALE

        @edge_function(model="weights/m.onnx")
        def score(x: float, model: Model) -> float:
            return SCALE * x
        """,
    )
    (bundle,) = build(str(path))
    names = [file.path for file in bundle.manifest.files]
    assert names == ["features/__init__.py", "scorer.py", "weights/m.onnx"]


def test_one_of_several_functions_can_be_named(tmp_path: Path) -> None:
    """Without a name all come, in the order of the file; a wrong name lists the right ones."""
    text = DOUBLE + DOUBLE.replace("double", "triple")
    path = write(tmp_path, "function.py", text)
    assert [each.manifest.spec.name for each in build(str(path))] == ["double", "triple"]
    (one,) = build(f"{tmp_path}::triple")
    assert one.manifest.attribute == "triple"
    assert "no 'quadruple'; it has double, triple" in failure(Path(f"{path}::quadruple")).message


def test_what_the_code_prints_does_not_disturb(tmp_path: Path) -> None:
    """Output at import, and a thread that never ends, are no obstacles."""
    noise = """
        import os, threading, time
        print("{" * 100_000)
        os.write(1, b"raw")
        threading.Thread(target=time.sleep, args=(3600,)).start()
    """
    write(tmp_path, "function.py", textwrap.dedent(noise) + textwrap.dedent(DOUBLE))
    assert len(build(str(tmp_path))) == 1


def test_a_file_that_does_not_import_fails_with_the_users_traceback(tmp_path: Path) -> None:
    """The traceback has the user's frames, causes included, and none of the machinery."""
    write(tmp_path, "helper.py", "def load():\n    raise OSError('no such sensor')\n")
    path = write(
        tmp_path,
        "function.py",
        """
        import helper
        print("before")
        try:
            helper.load()
        except OSError as error:
            raise RuntimeError("set-up failed") from error
        """,
    )
    error = failure(tmp_path)
    assert error.message == f"{path} does not import: RuntimeError: set-up failed"
    text = error.detail["traceback"]
    assert f'File "{path}", line 5' in text
    assert f'File "{tmp_path / "helper.py"}", line 2, in load' in text
    assert "importlib" not in text and "describe.py" not in text
    assert error.detail["log"] == ["before"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(4)", "ended the process (exit status 4)"),
        ("import os; os.abort()", "ended the process (killed by signal 6)"),
        ("x = 1", "declares no edge function; write, for example:"),
        (DOUBLE.replace("x: float", "x"), "parameter 'x' has no annotation"),
        (DOUBLE + DOUBLE.replace("def double", "def other").replace("50)", "50, name='double')"),
         "double and other are both named 'double'"),
        (MODEL_MISSING, "its model 'm.onnx' (model=) is not among"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """Whatever is wrong in the file, the message says what."""
    write(tmp_path, "function.py", text)
    assert expected in failure(tmp_path).message


def test_an_import_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed, and the message says where slow work belongs."""
    monkeypatch.setattr(reading, "TIMEOUT_S", 0.5)
    write(tmp_path, "function.py", "import time\ntime.sleep(3600)")
    assert "takes more than 0.5 s" in failure(tmp_path).message


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nowhere", "no such file"),
        ("", "function.py: no such file; start a function with: edgefn init"),
        ("notes.txt", "is not a Python file"),
        ("function.py::", "no function is named after the ::"),
    ],
)
def test_a_target_that_is_none_is_refused(tmp_path: Path, target: str, expected: str) -> None:
    """A wrong path fails before anything runs."""
    write(tmp_path, "notes.txt", "")
    assert expected in failure(tmp_path / target).message
