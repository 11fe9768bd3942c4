"""CSV files as people have them, and every fault in one line."""

import numpy as np
import pytest

from designer.errors import InputError
from tasks.symbolic.tables.table import make_table, read_table
from tasks.symbolic.task import TABLES, task

GOOD = "a,b,y\n1,2,3\n2,3,5\n3,5,9\n"


def write(tmp_path, text):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_is_read(tmp_path):
    text = '\ufeffname,"a [m]", y ,w\r\n\r\none,1,1e1,1\r\n"t, wo",2.5,-3,3\r\n'
    table = read_table(write(tmp_path, text), target="y", weights="w")
    assert table.x.tolist() == [[1.0], [2.5]] and table.y.tolist() == [10.0, -3.0]
    assert table.variables == ("x0",) and table.symbols == {"x0": "a [m]"}
    assert table.weights.tolist() == [0.5, 1.5]
    assert table.notes == ("text columns left out: name",)


def test_the_last_column_is_the_target_unless_one_is_named(tmp_path):
    path = write(tmp_path, GOOD)
    assert read_table(path).target == "y" and read_table(path).variables == ("a", "b")
    assert read_table(path, "a").variables == ("b", "y")


def test_rows_with_empty_cells_are_dropped_and_counted_or_refused(tmp_path):
    path = write(tmp_path, GOOD + "4,,1\n5,NA,2\n6,7,8\n")
    table = read_table(path)
    assert len(table.y) == 4 and table.notes == ("2 of 6 rows dropped: empty cells",)
    with pytest.raises(InputError, match=r"data.csv:5: column 'b' is empty"):
        read_table(path, missing="refuse")


@pytest.mark.parametrize(("text", "message"), [
    ("", "is empty"), (" \n\n", "is empty"), ("a,y\n", "0 row"), ("a,y\n1,2\n", "1 row"),
    ("a,b,y\n1,2,3\n1,2\n", ":3: 2 cells, but the header has 3"),
    ("a,a,y\n1,2,3\n2,3,4\n", ":1: columns 1 and 2 are both named 'a'"),
    ("a,,y\n1,2,3\n2,3,4\n", ":1: column 2 has no header"),
    ("1,2\n3,4\n5,6\n", "first line holds numbers"),
    ("a,y\n1,2\nx,3\n", ":3: column 'a': 'x' is no number"),
    ("a,y\n1,2\n2,nan\n", ":3: column 'y' is 'nan'"), ("a,y\n1,2\n-inf,3\n", ":3: column 'a'"),
    ("a,y\n1,2\n1e400,3\n", "too large for double precision"),
    ("a,y\n1,2\n1_0,3\n", "'1_0' is no number"),
    ('a,y\n1,2\n"3,5",3\n', "decimal comma in '3,5'"),
    ('a,y\n"1,000.5",2\n"2,000",3\n', "'1,000.5' groups its digits; write 1000.5"),
    ('a,y\n"2,000",2\n4,3\n', "'2,000' groups its digits; write 2000 \\(or 2.000\\)"),
    ("# by the logger\na,y\n1,2\n", "1: is a comment; begin with the line of column names"),
    ("a;y\n1;2\n3;4\n", "separated by semicolons"), ("a\ty\n1\t2\n3\t4\n", "separated by tabs"),
    ("y\n1\n2\n", "single column"), ("a,y\n1,5\n2,5\n", "'y' is 5 in every row"),
    ("a,y\n1,u\n2,v\n", "target column 'y' is text"), ("a,y\nu,1\nv,2\n", "no column is left"),
    ("a,y\n1,\n2,\n3,1\n", "1 complete row"), (b"a,y\n1,2\n1\0,2\n", ":3: holds a NUL byte"),
    ("a,y\n1,2\n2,3\n".encode("utf-16"), "is UTF-16"), (b"a,y\n\xff\xfe\n", ":2: is not UTF-8"),
    ('a,y\n1,2\n"2,3\n', "not valid CSV"),
])  # fmt: skip
def test_faults_name_file_place_and_remedy(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(tmp_path, text))
    assert "data.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a directory"):
        read_table(tmp_path)
    with pytest.raises(InputError, match="embedded null"):
        read_table("a\0b.csv")


def test_columns_that_are_not_there(tmp_path):
    path = write(tmp_path, "period,y\n1,2\n2,3\n")
    with pytest.raises(
        InputError, match="no column 'peroid' for the target: did you mean 'period'"
    ):
        read_table(path, "peroid")
    with pytest.raises(InputError, match="for the weight"):
        read_table(path, weights="w")
    with pytest.raises(InputError, match="expected 'drop' or 'refuse'"):
        read_table(path, missing="keep")


def test_weights_must_weigh(tmp_path):
    path = write(tmp_path, "a,y,w\n1,2,-1\n2,3,1\n")
    with pytest.raises(InputError, match="weight column 'w': expected"):
        read_table(path, "y", "w")


def test_arrays_become_tables():
    x, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 4.0])
    table = make_table(x, y, ["a", "b [m]"])
    assert table.variables == ("a", "x1") and table.headers == ("a", "b [m]")
    for bad in (
        (x, y[:2], ["a", "b"]),
        (x, y, ["a"]),
        (x * np.nan, y, ["a", "b"]),
        (x, y * 0, ["a", "b"]),
    ):
        with pytest.raises(InputError):
            make_table(*bad)


@pytest.mark.parametrize("name", TABLES)
def test_shipped_tables_are_whole(name):
    table = task(data=name).context["data"]
    assert table.x.shape[1] == 1 and len(table.y) >= 7
    assert not [note for note in table.notes if "dropped" in note]


def test_a_task_is_refused_with_a_reason():
    for wrong, message in (
        ({"operators": ["ad"]}, "did you mean 'add'"), ({"operators": "kozza"}, "did you mean"),
        ({"literals": ["two"]}, "not a positive number"), ({"data": "planet"}, "no such file"),
        ({"target": "period"}, "did you mean 'period_days'"),
        ({"operators": ["add", "add"]}, "twice"), ({"min_length": 30}, "hold no expression"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            task(**wrong)
