"""`gemel bench`: what is kept, compared and drawn. No test looks at how fast anything is."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest

from gemel.bench import command as bench
from gemel.bench import measuring, misses, page, record, samples, table
from gemel.bench.peers import BY_NAME, PEERS
from gemel.bench.turns import Crew, WorkerFailed, WorkerProcess
from gemel.bench.workloads import every, named
from gemel.cli.main import main
from gemel.explaining.limits import limit

TINY = "matmul 32x64x64"
PEAKS = {
    "threads": 1,
    "float32": 100.0,
    "float64": 50.0,
    "levels": {
        level: {"bytes": 1, "read": speed, "write": speed, "copy": speed}
        for level, speed in (("L1", 200.0), ("L2", 100.0), ("L3", 50.0), ("memory", 10.0))
    },
    "caches": {"L1": 1000, "L2": 10_000, "L3": 100_000},
}


def measured(median, spread=0.1):
    return {
        "median": median,
        "p10": median * (1 - spread),
        "p90": median * (1 + spread),
        "least": median * (1 - spread),
        "samples": 9,
    }


def row(name="matmul 4x4x4", gemel=1e-3, peer=2e-3, **more):
    results = {"Gemel torch": measured(gemel), "PyTorch": measured(peer)}
    return {
        "name": name, "group": "matmul", "about": "", "threads": 1, "flops": 1e6, "traffic": 2e4,
        "goal": 1.0, "budget": None, "rivals": [], "peak": 100.0, "limit": 1e-5,
        "limited_by": "arithmetic", "results": results,
    } | more  # fmt: skip


@pytest.fixture
def kept():
    made = record.fresh(quick=True)
    made["peaks"]["1"] = PEAKS
    made["rows"] = [row(), row("matmul <8>", 3e-3, 2e-3)]
    return made


# ---------- the whole command ----------
@pytest.fixture(scope="module")
def measured_file(tmp_path_factory):
    """A record of one row beside NumPy, measured by the command itself."""
    path = tmp_path_factory.mktemp("bench") / "record.json"
    arguments = ["bench", "--only", TINY, "--peers", "numpy", "--threads", "1", "--quick"]
    assert main([*arguments, "--json", str(path), "--html", str(path.with_suffix(".html"))]) == 0
    return path


def test_record_holds_the_row_its_peer_and_the_limits(measured_file):
    found = record.load(measured_file)
    (only,) = found["rows"]
    assert only["name"] == TINY and only["threads"] == 1
    assert only["flops"] == 2 * 32 * 64 * 64 and only["limit"] > 0
    wanted = {"Gemel torch", "Gemel compiled", "Gemel kernel", "NumPy"}
    assert set(only["results"]) == wanted
    for result in only["results"].values():
        assert 0 < result["least"] <= result["p10"] <= result["median"] <= result["p90"]
        assert result["samples"] >= 3
    assert only["results"]["Gemel kernel"]["difference"] < 1e-5
    assert set(found["peaks"]["1"]["levels"]) == {"L1", "L2", "L3", "memory"}
    assert found["peaks"]["1"]["float32"] > 0
    assert set(found["versions"]) >= {"numpy", "llvmlite"}


def test_page_comes_from_the_command(measured_file):
    text = measured_file.with_suffix(".html").read_text(encoding="utf-8")
    assert TINY in text and "Roofline" in text and "$" not in text


def test_resume_measures_only_what_is_left(measured_file, tmp_path, monkeypatch, capsys):
    path = tmp_path / "record.json"
    path.write_text(measured_file.read_text())
    asked = []

    def measure_row(crew, workload, peaks, effort, peers, say):
        asked.append(workload.name)
        return row(workload.name)

    monkeypatch.setattr(bench, "measure_row", measure_row)
    monkeypatch.setattr(bench, "measure_peaks", lambda crew, quick: PEAKS)
    arguments = ["bench", "--only", TINY, "--only", "matmul 64x64x64", "--threads", "1", "--quick"]
    assert main([*arguments, "--json", str(path), "--resume"]) == 0
    assert asked == ["matmul 64x64x64"]
    assert "1 rows are measured already" in capsys.readouterr().out
    assert [r["name"] for r in record.load(path)["rows"]] == [TINY, "matmul 64x64x64"]


def test_interrupted_run_keeps_its_rows(tmp_path, monkeypatch, capsys):
    path = tmp_path / "record.json"
    rows = iter([row(TINY)])

    def measure_row(*arguments):
        try:
            return next(rows)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(bench, "measure_row", measure_row)
    monkeypatch.setattr(bench, "measure_peaks", lambda crew, quick: PEAKS)
    status = main(["bench", "--only", "matmul", "--threads", "1", "--json", str(path)])
    assert status == bench.INTERRUPTED
    assert [r["name"] for r in record.load(path)["rows"]] == [TINY]
    assert "--resume" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--only", "nothing like it"], "no row matches"),
        (["--threads", "0"], "this process may use"),
        (["--threads", "many"], "takes numbers"),
        (["--resume"], "--resume needs --json"),
        (["--patience", "0"], "--patience takes seconds"),
        (["--peers", "theano"], "no peer 'theano'"),
        (["--compare", "/no/such/file"], "cannot read"),
        (["--show", __file__], "is not JSON"),
    ],
)
def test_bad_options_are_said(arguments, said, capsys):
    assert main(["bench", *arguments]) == bench.REFUSED
    assert said in capsys.readouterr().err


def test_record_of_another_machine_is_not_gone_on_with(kept, tmp_path):
    path = tmp_path / "record.json"
    kept["machine"]["cpu"] = "another"
    record.save(path, kept)
    with pytest.raises(record.BadRecord, match="machine"):
        record.resumed(path, quick=True)


# ---------- rows ----------
def test_names_are_unique_and_tell_what_is_in_the_goals():
    names = [w.name for w in every()]
    assert len(names) == len(set(names))
    table_names = " ".join(w.name for w in every(sweeps=False))
    parts = "mlp 64-64-10,mlp 784,cnn,resnet-18 32,resnet-18 224,depthwise,stride 2,1x1,softmax"
    for part in f"{parts},layer norm,adam,chain,2048x65x256".split(","):
        assert part in table_names
    assert sum(w.group == "convolution" for w in every(False)) == 27


@pytest.mark.parametrize(
    "pattern, count", [("convolution", 27), ("matmul 512", 1), ("softmax*", 6), ("SOFTMAX", 6)]
)
def test_patterns_choose_rows(pattern, count):
    assert len(bench.select([pattern], sweeps=False)) == count


def test_costs_of_networks_are_those_of_the_literature():
    flops = {w.name: w.flops for w in every(False)}
    assert flops["resnet-18 224x224 inference"] == pytest.approx(3.63e9, rel=0.005)
    assert flops["mlp 64-64-10"] == 2 * 32 * (64 * 64 * 2 + 64 * 10 * 3)
    assert flops["conv (32,64,56,56)->64 3x3 dx"] == 2 * 32 * 56 * 56 * 64 * 64 * 9


# ---------- workers ----------
def test_worker_that_fails_says_why_and_is_replaced():
    crew = Crew(1, bench.cores_for(1))
    try:
        worker = crew.worker(BY_NAME["numpy"])
        with pytest.raises(WorkerFailed, match="no such row"):
            worker.ask(do="prepare", row="no such row", variant="numpy", results="", target=1,
                       patience=9)  # fmt: skip
        assert crew.worker(BY_NAME["numpy"]) is worker
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(WorkerFailed):
            worker.ask(do="drop")
        assert crew.worker(BY_NAME["numpy"]) is not worker
    finally:
        crew.end()


def test_what_does_not_become_ready_is_given_up(tmp_path):
    worker = WorkerProcess(BY_NAME["numpy"], 1, bench.cores_for(1))
    try:
        with pytest.raises(WorkerFailed, match="not ready in 1 s"):
            worker.ask(do="prepare", row="matmul 2048x2048x2048", variant="numpy",
                       results=str(tmp_path / "x.npz"), target=1e9, patience=1)  # fmt: skip
            worker.ask(do="prepare", row="layer norm 41x50257", variant="numpy",
                       results=str(tmp_path / "x.npz"), target=1e9, patience=1)  # fmt: skip
        assert worker.ask(do="drop") == {}
    finally:
        worker.end()


def test_wrong_results_fail(tmp_path):
    def candidate(label, array):
        path = tmp_path / f"{label}.npz"
        np.savez(path, array)
        return SimpleNamespace(
            label=label, variant="torch", results=path, failure="", difference=None
        )

    good = np.arange(4.0)
    ours, right, theirs = (
        candidate("Gemel torch", good + 1), candidate("Gemel kernel", good * (1 + 1e-7)),
        candidate("PyTorch", good),
    )  # fmt: skip
    measuring._compare(named(TINY), [ours, right, theirs])
    assert ours.failure.startswith("wrong: differs from PyTorch")
    assert not right.failure and 0 < right.difference < 1e-6


def test_difference_is_relative_and_sees_shapes_and_nans():
    a = np.array([1.0, 100.0])
    assert measuring.difference([a + 1], [a]) == pytest.approx(0.01)
    assert measuring.difference([a[:1]], [a]) == float("inf")
    assert measuring.difference([a * np.nan], [a]) == float("inf")


# ---------- figures ----------
def test_summary_orders_its_percentiles():
    found = samples.summary([5.0, 1.0, 2.0, 3.0, 4.0])
    assert (found["median"], found["least"], found["samples"]) == (3.0, 1.0, 5)
    assert found["p10"] == pytest.approx(1.4) and found["p90"] == pytest.approx(4.6)


def test_limit_is_the_slower_of_arithmetic_and_bytes():
    assert limit(1e9, 0, PEAKS) == (pytest.approx(1e-2), "arithmetic")
    assert limit(1e3, 1e6, PEAKS) == (pytest.approx(1e-4), "memory")
    assert limit(0, 5000, PEAKS) == (pytest.approx(5e-8), "L2")
    assert limit(0, 0, PEAKS) == (None, "")


def test_best_peer_counts_only_rivals():
    made = row(rivals=["JAX"])
    made["results"]["JAX"] = measured(5e-3)
    assert record.best_peer(made) == "JAX" and record.ratio(made) == pytest.approx(0.2)
    assert not record.misses(made)


def test_budget_is_seconds():
    assert record.misses(row(goal=None, budget=0.5e-3)) and not record.misses(row(budget=2e-3))
    assert record.ratio(row(budget=2e-3)) is None


def test_memory_that_is_busy_reaches_the_goal_too():
    near = {"goal": 0.4, "enough": 0.8, "limit": 0.85e-3}
    assert not record.misses(row(**near, limited_by="memory"))
    assert record.misses(row(**near | {"limit": 0.75e-3}, limited_by="memory"))
    assert record.misses(row(**near, limited_by="arithmetic"))
    assert record.misses(row(**near | {"enough": None}, limited_by="memory"))


def test_what_stands_in_the_way_is_said():
    made = row(gemel=3e-3)
    made["results"]["Gemel kernel"] = measured(1e-3)
    slow = row(name="first step", gemel=3e-3, goal=None, budget=1e-3)
    head, first, second = misses.miss_lines({"rows": [made, slow, row()]})
    assert head.startswith("2 of 3 rows miss")
    assert first.startswith("  matmul 4x4x4, 1 thread(s): 1.50 x PyTorch, 1 wanted; 2 ms of 3 ms")
    assert first.endswith("the kernel is at 1% of the limit (arithmetic), PyTorch at 0%")
    assert second == "  first step, 1 thread(s): 3 ms, 1 ms wanted"


def test_regressions_beyond_the_spread_are_named(kept):
    now = copy.deepcopy(kept)
    assert record.regressions(now, kept) == []
    now["rows"][0]["results"]["Gemel torch"] = measured(1.5e-3)
    (found,) = record.regressions(now, kept)
    assert (found["name"], found["label"]) == ("matmul 4x4x4", "Gemel torch")
    assert found["times"] == pytest.approx(1.5)
    # the whole machine is slower: no regression
    now["rows"][0]["results"]["PyTorch"] = measured(3e-3)
    assert record.regressions(now, kept) == []


def test_compare_fails_the_command(kept, tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    record.save(old, kept)
    kept["rows"][0]["results"]["Gemel torch"] = measured(5e-3)
    record.save(new, kept)
    assert main(["bench", "--show", str(new), "--compare", str(old)]) == bench.FAILED
    assert "matmul 4x4x4, 1 thread(s), Gemel torch: 1 ms -> 5 ms" in capsys.readouterr().out


# ---------- what is shown ----------
@pytest.mark.parametrize("width", [80, 100, 160])
def test_table_keeps_to_the_terminal(kept, width):
    lines = table.table_lines(kept, width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line.startswith("!") and "matmul <8>" in line]


def test_failures_are_in_the_table(kept):
    kept["rows"][0]["results"]["Gemel torch"] = {"failure": "because"}
    assert any("because" in line for line in table.table_lines(kept, 120))


def test_page_is_one_file_with_bars_roofline_and_tables(kept):
    kept["rows"][0]["results"]["JAX"] = {"failure": "it <broke>"}
    text = page.page(kept)
    assert not re.search(r"https?:|<script|@import|url\(", text)
    assert text.count('class="bar') == 2 and text.count('class="bar miss"') == 1
    assert text.count('class="roof"') == 4 and text.count('class="roof top"') == 1
    assert "matmul &lt;8&gt;" in text and "matmul <8>" not in text
    assert "it &lt;broke&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert page.page(record.fresh(False)).count("Nothing was measured") == 1


def test_file_is_replaced_as_a_whole(kept, tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    record.save(path, kept)
    before = path.read_text()
    monkeypatch.setattr(record.os, "replace", lambda *places: (_ for _ in ()).throw(OSError()))
    with pytest.raises(OSError):
        record.save(path, record.fresh(False))
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_every_label_of_a_peer_is_its_own():
    labels = [label for peer in PEERS for label in peer.labels.values()]
    assert len(labels) == len(set(labels))
