"""The command line: how a script runs, what it may import, what its errors show."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gemel.cli import cache, charts, coverage, sprite
from gemel.cli.graph_mode import wants_graph_mode

ROOT = Path(__file__).resolve().parent.parent


def gemel(*arguments, cwd=None, **environment):
    """Run the command in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "gemel", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


@pytest.fixture
def script(tmp_path):
    """Writes a script and returns its path."""

    def write(text):
        path = tmp_path / "program.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_script_is_main_with_its_own_arguments(script, tmp_path):
    path = script("import sys\nprint(__name__, __file__, sys.argv[1:], sys.path[0])")
    done = gemel("run", path, "--json", "-x", "--help")
    assert done.stdout.split("\n")[0] == (
        f"__main__ {path} ['--json', '-x', '--help'] {tmp_path}"
    )


def test_script_imports_its_neighbours(script, tmp_path):
    (tmp_path / "neighbour.py").write_text("value = 5")
    assert gemel("run", script("import neighbour\nprint(neighbour.value)")).stdout == "5\n"


def test_classes_of_the_script_pickle(script):
    text = "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)"
    assert gemel("run", script(text)).stdout == "True\n"


def test_exit_status_is_the_scripts(script):
    assert gemel("run", script("import sys\nsys.exit(3)")).returncode == 3


def test_uncaught_exception_shows_the_users_frames_only(script):
    path = script("def f():\n    return 1 / 0\n\nf()\n")
    done = gemel("run", path)
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert done.stderr.count("  File ") == 2
    assert "gemel" not in done.stderr.replace(str(path), "")


def test_full_traceback_on_demand(script):
    done = gemel("run", script("1 / 0"), GEMEL_TRACEBACK="full")
    assert "gemel/cli/run.py" in done.stderr.replace(os.sep, "/")


def test_syntax_error_points_at_the_script(script):
    path = script("x = (\n")
    done = gemel("run", path)
    assert done.returncode == 1
    assert done.stderr.startswith(f'  File "{path}", line 1\n')
    assert "SyntaxError" in done.stderr


def test_missing_file():
    done = gemel("run", "no-such-file.py")
    assert done.returncode == 2
    assert "no-such-file.py" in done.stderr


FAKE = {
    "face/__init__.py": "from face import nn\n",
    "face/nn/__init__.py": "from face import functional\nclass Linear: pass\n",
    "face/functional.py": "def relu(): return 'relu'\n",
    "face/single.py": "from face import functional as inner\n",
}
PREFACE = "from gemel.cli import aliases\naliases.install({'torch': 'face'}, 'json')\n"


@pytest.fixture
def aliased(tmp_path):
    """Runs code in which `torch` means a small package of this test."""
    for name, text in FAKE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(code):
        path = os.pathsep.join([str(ROOT), str(tmp_path)])
        done = subprocess.run(
            [sys.executable, "-c", PREFACE + code],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_alias_is_the_faces_own_module(aliased):
    code = "import torch, face, torch.nn as nn\nprint(torch is face, nn is face.nn)"
    assert aliased(code) == "True True"


def test_alias_of_a_module_kept_in_another_file(aliased):
    code = "import torch.nn.functional as F\nimport face\nprint(F is face.functional, F.relu())"
    assert aliased(code) == "True relu"


def test_alias_below_a_module_that_is_no_package(aliased):
    assert aliased("from torch.single.inner import relu\nprint(relu())") == "relu"


def test_alias_leaves_the_modules_own_spec(aliased):
    assert aliased("import torch.nn\nprint(torch.nn.__spec__.name)") == "face.nn"


def test_missing_submodule_is_module_not_found(aliased):
    code = "try:\n    import torch.nothing\nexcept ModuleNotFoundError as e:\n    print(e.name)"
    assert aliased(code) == "torch.nothing"


def test_an_original_imported_before_is_an_error(aliased):
    code = (
        "import torch\ntry:\n    aliases.install({'torch': 'face'}, 'json')\n"
        "except RuntimeError as e:\n    print(e)"
    )
    assert aliased(code) == "torch was imported before Gemel could take its place"


@pytest.mark.parametrize(
    "name", ["torch.nothing_here", "torch.nn.NothingHere", "torch.nn.functional.nothing_here"]
)
def test_missing_name_says_so_and_names_the_coverage(script, name):
    done = gemel("run", script(f"import torch\n{name}\n"))
    assert done.returncode == 1
    assert "AttributeError" in done.stderr
    assert name.rpartition(".")[2] in done.stderr
    assert "`gemel coverage torch`" in done.stderr


def test_missing_method_names_the_coverage(script):
    done = gemel("run", script("import torch\ntorch.ones(2).nothing_here()\n"))
    assert "AttributeError" in done.stderr
    assert "`gemel coverage torch`" in done.stderr


def test_missing_import_names_the_coverage(script):
    done = gemel("run", script("from tensorflow import nothing_here\n"))
    assert "ImportError" in done.stderr
    assert "`gemel coverage tensorflow`" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "import tensorflow as tf\ntf.Session()",
        "import tensorflow\ndef f():\n    with tensorflow.Session() as s: pass",
        "import tensorflow as tf\nx = tf.placeholder(tf.float32)",
        "from tensorflow import placeholder as p",
        "import tensorflow as tf\nt = tf.train.AdamOptimizer(0.1).minimize(loss)",
        "from tensorflow import train\ntrain.GradientDescentOptimizer(0.1)",
    ],
)
def test_tensorflow_1_scripts_want_graph_mode(text):
    assert wants_graph_mode(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "import tensorflow as tf\ntf.constant(1)",
        "import tensorflow as tf\ntf.compat.v1.Session()",
        "import tensorflow.compat.v1 as tf\ntf.Session()",
        "import tensorflow as tf\ntf = tf.compat.v1\ntf.Session()",
        "import requests\nrequests.Session()",
        "import tensorflow as tf\nx.tf.Session",
    ],
)
def test_other_scripts_do_not(text):
    assert not wants_graph_mode(ast.parse(text))


def test_doctor_names_what_it_found():
    done = gemel("doctor")
    assert done.returncode == 0, done.stderr
    for word in ("gemel", "numpy", "llvmlite", "features", "threads", "directory", "GPU"):
        assert word in done.stdout


def test_cache_shows_and_clears(tmp_path):
    place = tmp_path / "objects"
    (place / "ab").mkdir(parents=True)
    (place / "ab" / "entry.gemel").write_bytes(b"x" * 2048)
    shown = gemel("cache", GEMEL_CACHE=str(place)).stdout
    assert str(place) in shown and "2.0 KiB" in shown
    assert gemel("cache", "clear", GEMEL_CACHE=str(place)).stdout == "removed 1 object\n"
    assert not list(place.rglob("*.gemel"))


def test_cache_that_is_off():
    assert "GEMEL_CACHE=off" in gemel("cache", GEMEL_CACHE="off").stdout


@pytest.mark.parametrize(
    "count, text",
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")],
)
def test_amount(count, text):
    assert cache.amount(count) == text


@pytest.mark.parametrize("face", ["torch", "tensorflow", "keras"])
def test_the_originals_names_are_listed(face):
    listed = coverage.original_names(face)
    assert all(names == sorted(names) and names for names in listed.values())


def test_coverage_counts_and_lists():
    done = gemel("coverage", "torch")
    assert done.returncode == 0, done.stderr
    assert "torch.nn.functional" in done.stdout
    there, _, missing = gemel("coverage", "torch", "torch.nn").stdout.partition("\n\n")
    assert "Linear" in there and "missing" in missing


def test_coverage_of_an_unknown_namespace():
    done = gemel("coverage", "torch", "torch.nothing")
    assert done.returncode == 2
    assert "torch.nn" in done.stderr


def test_help_of_every_command():
    for command in ("run", "demo", "coverage", "doctor", "cache"):
        assert gemel(command, "--help").returncode == 0
    assert gemel("nothing").returncode == 2


def test_sprite_is_a_readable_png():
    images = np.arange(3 * 4).reshape(3, 2, 2)
    ink = sprite.sheet(images, across=2, peak=11)
    assert ink.shape == (4, 4)
    assert ink[:2, 2:].ravel().tolist() == [93, 116, 139, 162]
    assert sprite.png(ink).startswith(sprite.SIGNATURE)


def test_charts_are_well_formed():
    from xml.etree import ElementTree

    ElementTree.fromstring(charts.loss_curves(["a & b", "c"], [[1.0, 0.1], [2.0, 0.05]]))
    ElementTree.fromstring(charts.confusion([[3, 0], [1, 2]]))
