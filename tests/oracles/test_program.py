"""External programs: every output form, every way to fail, and nothing left running."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drugs import Plain

from designer.errors import InputError, OracleError
from designer.protocols import Measured
from designer.testing import check_oracle
from oracles.program import Program, read

DESIGNS = [Plain(text) for text in ("CCO", "C", "CCCC", "x0*sqrt(x0)")]
LENGTHS = "import sys\nfor line in sys.stdin: print(len(line.strip()))"
HEAD = "import sys, json, os, time\nrows = [line.strip() for line in sys.stdin]\n"


def program(code: str, **settings: Any) -> Program:
    return Program((sys.executable, "-c", code), **{"timeout": 20.0, **settings})


def ask(code: str, **settings: Any) -> Measured:
    return program(HEAD + code, **settings)(DESIGNS)


def test_one_number_a_line() -> None:
    oracle = program(LENGTHS, name="size")
    check_oracle(oracle, DESIGNS)
    assert oracle(DESIGNS).columns["size"].tolist() == [3, 1, 4, 11]
    assert oracle([]).columns["size"].tolist() == []


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("print(json.dumps([len(r) for r in rows]))", {"program": [3, 1, 4, 11]}),
        ("print(json.dumps({'a': [len(r) for r in rows], 'b': [1, 2, 3, 4]}, indent=2))",
         {"a": [3, 1, 4, 11], "b": [1, 2, 3, 4]}),
        ("print(json.dumps({'version': 1, 'payload': {'predictions': [1, 2, 3, 4]}}))",
         {"predictions": [1, 2, 3, 4]}),
    ],
)  # fmt: skip
def test_json_forms(code: str, columns: dict[str, list[float]]) -> None:
    measured = ask(code)
    assert {name: values.tolist() for name, values in measured.columns.items()} == columns


def test_endpoints_pick_columns() -> None:
    code = "print(json.dumps({'a': [1, 2, 3, 4], 'b': [5, 6, 7, 8]}))"
    assert list(ask(code, endpoints=("b",)).columns) == ["b"]
    with pytest.raises(OracleError, match="no column 'c'"):
        ask(code, endpoints=("c",))


def test_missing_values() -> None:
    for code in ("print('1\\nnan\\n-inf\\n4')", "print('[1, null, -Infinity, 4]')"):
        measured = ask(code)
        assert measured.columns["program"].tolist() == pytest.approx(
            [1, np.nan, -np.inf, 4], nan_ok=True
        )
        assert list(measured.errors) == [1]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.stderr.write('first\\nno licence\\n\\n'); sys.exit(3)", "exit code 3: no licence"),
        ("os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
        ("sys.stderr.write('loading'); sys.stderr.flush(); time.sleep(60)",
         "no answer within 1 s: loading"),
        ("print('1\\n' * 1_000_000)", "more than 100000 bytes of output"),
        ("os.close(1); os.close(2); time.sleep(60)", "still running after 1 s"),
    ],
)  # fmt: skip
def test_failed_call_leaves_its_designs_unmeasured(code: str, expected: str) -> None:
    started = time.monotonic()
    measured = ask(code, timeout=1.0, max_output=100_000)
    assert time.monotonic() - started < 30
    assert np.isnan(measured.columns["program"]).all() and list(measured.errors) == [0, 1, 2, 3]
    assert expected in measured.errors[0]


def test_failure_costs_one_batch() -> None:
    code = "sys.exit('bad') if 'C' in rows else [print(len(r)) for r in rows]"
    measured = ask(code, batch_size=1)
    assert measured.columns["program"].tolist() == pytest.approx([3, np.nan, 4, 11], nan_ok=True)
    assert list(measured.errors) == [1] and measured.errors[1].endswith("exit code 1: bad")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print(1)", "returned 1 value for 4 designs .*, expected 4 numbers"),
        ("print('1\\n2\\n3\\n4\\n5')", "returned 5 values for 4 designs"),
        ("pass", "returned 0 values for 4 designs"),
        ("print('1\\nhigh\\n3\\n4')", "printed 'high' in line 2, expected one number"),
        ("print('1\\n\\n3\\n4')", "printed '' in line 2"),
        ("print('[1, 2,')", "printed broken JSON: .* at line 1, column"),
        ("print('[1, 2, 3, \"4\"]')", "returned str '4' in row 3"),
        ("print('[' * 200000)", "JSON"),
        ("print('{\"a\": 1}')", "returned int 1 in column 'a'"),
        ("print('{}')", "returned no columns"),
        ("print('[1, 2, 3, ' + '9' * 400 + ']')", "in row 3, expected a number"),
        ("print('[1, 2, 3, ' + '9' * 5000 + ']')", "a whole number that is too long"),
    ],
)
def test_broken_contract_is_named(code: str, expected: str) -> None:
    with pytest.raises(OracleError, match=expected):
        ask(code)


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie that nobody has reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", ["time.sleep(60)", "sys.exit(0)", "os._exit(1)"])
def test_no_grandchild_survives(tmp_path: Path, end: str) -> None:
    note = tmp_path / "pid"
    code = f"""
import subprocess
child = subprocess.Popen(["sleep", "60"])
open({str(note)!r}, "w").write(str(child.pid))
print("1\\n2\\n3\\n4", flush=True)
{end}
"""
    started = time.monotonic()
    measured = ask(code, timeout=2.0)
    assert time.monotonic() - started < 30
    assert np.isnan(measured.columns["program"]).any() == (end != "sys.exit(0)")
    deadline = time.monotonic() + 20
    while alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(int(note.read_text()))


def test_large_input_and_output_do_not_block() -> None:
    code = (
        "sys.stdout.write(''.join('%d\\n' % len(r) for r in rows)); sys.stderr.write('x' * 10**6)"
    )
    many = [Plain("C" * 200)] * 5000
    assert program(HEAD + code)(many).columns["program"].tolist() == [200.0] * 5000


def test_no_shell_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("LICENCE", "42")
    touched = tmp_path / "touched"
    designs = [Plain(f"$(touch {touched})"), Plain(f"`touch {touched}`; touch {touched}")]
    code = HEAD + "for r in rows: print(int('SECRET_TOKEN' in os.environ), file=sys.stdout)"
    assert program(code)(designs).columns["program"].tolist() == [0, 0]
    code = HEAD + "for r in rows: print(os.environ['LICENCE'])"
    assert program(code, environment=("LICENCE",))(designs).columns["program"].tolist() == [42, 42]
    assert not touched.exists() and os.environ["SECRET_TOKEN"] == "hunter2"


def test_folder_and_files(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text(LENGTHS)
    oracle = Program((sys.executable, "score.py"), folder=tmp_path, timeout=20)
    assert oracle(DESIGNS[:2]).columns["program"].tolist() == [3, 1]
    assert script in oracle.files


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"command": ()}, "command is empty"),
        ({"command": ("no_such_program_here",)}, "'no_such_program_here' is not on the PATH"),
        ({"command": ("./no/such/program",)}, "is not there, or may not be executed"),
        ({"command": ("python score.py --fast",)}, "one word; write it as a list"),
        ({"command": ("cat",), "timeout": 0}, "timeout is 0, expected more than 0"),
        ({"command": ("cat",), "max_output": -1}, "max_output is -1"),
        ({"command": ("cat",), "batch_size": -1}, "batch_size is -1"),
        ({"command": ("cat",), "folder": Path("/no/such/folder")}, "is not a directory"),
    ],
)
def test_bad_settings(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        Program(**settings)


def test_program_that_vanishes(tmp_path: Path) -> None:
    script = tmp_path / "score"
    script.write_text(f"#!{sys.executable}\n{LENGTHS}")
    script.chmod(0o755)
    oracle = Program((str(script),), timeout=20)
    assert oracle(DESIGNS[:1]).columns["program"].tolist() == [3]
    script.unlink()
    with pytest.raises(OracleError, match="cannot be started: No such file"):
        oracle(DESIGNS[:1])


def test_design_of_two_lines_is_refused() -> None:
    with pytest.raises(InputError, match="is not one line"):
        program(LENGTHS)([Plain("CC\nCC")])


def test_reader_alone() -> None:
    assert read(" 1\n2.5e3 \n\n", "p") == [1.0, 2500.0]
    assert read(json.dumps({"version": 1, "payload": {"a": [1]}}), "p") == {"a": [1]}


def test_each_call_is_handed_over_as_it_comes() -> None:
    oracle = program(LENGTHS, batch_size=3)
    parts = [(rows, said.columns["program"].tolist()) for rows, said in oracle.stream(DESIGNS)]
    assert parts == [([0, 1, 2], [3, 1, 4]), ([3], [11])]
    assert [rows for rows, _ in program(LENGTHS).stream(DESIGNS)] == [[0, 1, 2, 3]]
