"""Files of arrival times: what is read, and one line that names file and line for what cannot be."""

import pytest

from workloads import WorkloadError
from workloads.trace import read_trace


@pytest.mark.parametrize(
    ("content", "times"),
    [
        ('{"timestamp": 1.5}\n\n{"timestamp": 2, "prompt": "a"}\n', (1.5, 2.0)),
        ('{"arrival": "3.25"}', (3.25,)),
        ('{"arrival_time": 0}\n{"arrival_time": 0}', (0.0, 0.0)),
        ("id,timestamp\na,0.5\nb,0.75\n", (0.5, 0.75)),
        (
            'TIMESTAMP,ContextTokens\n2023-11-16 18:17:03.5,10\n"2023-11-16 18:17:04.25",11',
            (1700158623.5, 1700158624.25),
        ),
        ("0\n0.5\r\n1e1\n", (0.0, 0.5, 10.0)),
        ("2024-01-01T00:00:00+01:00\n2024-01-01T00:00:00Z\n", (1704063600.0, 1704067200.0)),
    ],
    ids=["objects", "text in an object", "at once", "table", "dates in a table", "numbers", "dates"],
)
def test_what_is_read(tmp_path, content, times):
    file = tmp_path / "trace"
    file.write_text(content)
    assert read_trace(str(file)) == times


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("", None, "is empty"),
        ("\n \n", None, "is empty"),
        ("timestamp\n", None, "no arrival"),
        ('{"timestamp": 1}\n{"timestamp": 2', 2, "not valid JSON"),
        ('{"timestamp": 1}\n[2]', 2, "not an object"),
        ('{"time": 1}', 1, "no field timestamp or arrival"),
        ('{"timestamp": null}', 1, "null is no time"),
        ('{"timestamp": true}', 1, "true is no time"),
        ('{"timestamp": NaN}', 1, "NaN is no time"),
        ("id,when\na,1", 1, "no header with a column"),
        ("id,timestamp\na,1\nb", 3, "1 columns, but timestamp is column 2"),
        ("1\n2\nthree\n", 3, '"three" is no time'),
        ("1\n3\n\n2\n", 4, "2 lies before the arrival above it; sort"),
    ],
)
def test_what_is_refused(tmp_path, content, line, words):
    file = tmp_path / "trace"
    file.write_text(content)
    with pytest.raises(WorkloadError) as refused:
        read_trace(str(file))
    text = str(refused.value)
    assert words in text
    assert str(file) in text
    assert "\n" not in text
    assert line is None or f"line {line}" in text
