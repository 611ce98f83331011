"""What an interval is worth, on a simulated engine: in studies whose candidates equal the baseline it holds 1.0."""

from benchmarks import calibration
from benchmarks.calibration import Book, covered, fake, races

COUNT = 20


def test_intervals_of_equal_configurations_hold_one(tmp_path):
    book = Book(tmp_path / "calibration.json")
    fake(book, COUNT)
    found = covered(list(book.part("fake").values()))
    assert found["studies"] == COUNT
    assert found["hold_1"] >= 0.9 * COUNT - 1  # of 20 with 95 % each, 17 or more in 98 of 100 cases
    assert found["confirmed_wrongly"] <= 2
    assert races(list(book.part("fake").values()))["pruned"] <= 7  # of 60, each with 5 %


def test_studies_that_are_there_are_not_run_again(tmp_path, monkeypatch):
    book = Book(tmp_path / "calibration.json")
    for number in range(3):
        book.write("fake", str(number), {"interval": [0.9, 1.1]})
    monkeypatch.setattr(calibration, "entry_of", None)
    fake(Book(tmp_path / "calibration.json"), 3)
