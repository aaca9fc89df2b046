"""Reading public instances, and saying what is wrong with one that cannot be read."""

import json
from pathlib import Path

import pytest

from simulations.mdrp import BadInstance, Log, instances, read_instance
from tests.simulations.instances import write_instance


def test_an_instance_is_read_as_it_stands_in_its_files(tmp_path: Path) -> None:
    folder = write_instance(tmp_path / "tiny", orders=3, couriers=2)

    instance = read_instance(folder)

    assert instance.name == "tiny"
    assert [order.id for order in instance.orders] == ["o0", "o1", "o2"]
    assert [courier.off_min for courier in instance.couriers] == [300.0, 320.0]
    assert instance.parameters.metres_per_min == 320.0


def test_a_folder_of_instances_gives_each_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_instance(tmp_path / name)

    found = instances(tmp_path)

    assert [folder.name for folder in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "line", "text", "said"),
    [
        ("orders.txt", 1, "order\tx\ty\tplacement_time\trestaurant\tredy_time", "unknown column"),
        ("orders.txt", 1, "order\tx\ty\tplacement_time\trestaurant", "must be there once"),
        ("orders.txt", 3, "o0\t1\t2\t3\tr1\t9", "is there twice"),
        ("orders.txt", 3, "o1\t1\t2\t-3\tr1\t9", "must not be negative"),
        ("orders.txt", 3, "o1\t1\t2\t3\tr99\t9", "is not in restaurants.txt"),
        ("orders.txt", 3, "o1\t1\t2\t30\tr1\t9", "is before placement_time"),
        ("orders.txt", 3, "o1\t1\t2\tsoon\tr1\t9", "must be a number"),
        ("orders.txt", 3, "o1\tnan\t2\t3\tr1\t9", "must lie within"),
        ("orders.txt", 3, "o1\t1\t2", "3 cells, but the header has 6"),
        ("orders.txt", 3, "\t1\t2\t3\tr1\t9", "is empty"),
        ("couriers.txt", 2, "c0\t1\t2\t30\t9", "is before on_time"),
        ("restaurants.txt", 3, "r0\t1\t2", "is there twice"),
        ("couriers.txt", 2, "r0\t1\t2\t3\t9", "is the id of a restaurant too"),
        ("couriers.txt", 2, "c0\t1\t2\t3\t9999999", "at most 10080 minutes"),
        ("instance_parameters.txt", 2, "0\t4\t4\t40\t90\t10\t15", "must be 1 or more"),
        ("instance_parameters.txt", 2, "1e-300\t4\t4\t40\t90\t10\t15", "must be 1 or more"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_file_and_line(
    tmp_path: Path, file: str, line: int, text: str, said: str
) -> None:
    folder = write_instance(tmp_path / "bad")
    lines = (folder / file).read_text().split("\n")
    lines[line - 1] = text
    (folder / file).write_text("\n".join(lines))

    with pytest.raises(BadInstance) as caught:
        read_instance(folder)

    assert said in str(caught.value)
    assert f"{file}, line {line}: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "order\tx\ty\tplacement_time\trestaurant\t" + "r" * 1_000_000),
        (3, "o1\t" + "9" * 999 + "x\t2\t3\tr1\t9"),
        (3, "o1\t1\t2\t3\t" + "r" * 1_000_000 + "\t9"),
    ],
)
def test_rubbish_of_any_length_is_told_shortly(tmp_path: Path, line: int, text: str) -> None:
    folder = write_instance(tmp_path / "bad")
    lines = (folder / "orders.txt").read_text().split("\n")
    lines[line - 1] = text
    (folder / "orders.txt").write_text("\n".join(lines))

    with pytest.raises(BadInstance) as caught:
        read_instance(folder)

    assert len(str(caught.value)) < 300 + len(str(folder))


def test_a_file_that_is_not_text_or_not_there_is_said_plainly(tmp_path: Path) -> None:
    folder = write_instance(tmp_path / "bad")
    (folder / "orders.txt").write_bytes(b"order\tx\n\xff\xfe")

    with pytest.raises(BadInstance, match=r"orders\.txt, line 2: not text"):
        read_instance(folder)
    (folder / "restaurants.txt").unlink()
    with pytest.raises(BadInstance, match=r"restaurants\.txt: cannot be read"):
        read_instance(folder)
    with pytest.raises(BadInstance, match="no such folder"):
        instances(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInstance, match="no instance here"):
        instances(tmp_path / "empty")


def test_a_byte_order_mark_and_windows_line_ends_are_no_hindrance(tmp_path: Path) -> None:
    folder = write_instance(tmp_path / "windows", orders=3)
    text = (folder / "orders.txt").read_text()
    (folder / "orders.txt").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))

    instance = read_instance(folder)

    assert [order.id for order in instance.orders] == ["o0", "o1", "o2"]
    assert {order.restaurant for order in instance.orders} <= {r.id for r in instance.restaurants}


def test_the_log_is_one_event_a_line_with_a_bundle_settled_as_it_is_picked_up() -> None:
    log = Log()

    log.move(3.0, "c1", "r1")
    log.pickup(9.0, "c1", ("o1", "o2"))
    log.dropoff(14.0, "c1", "o1")

    assert [json.loads(line) for line in log.to_bytes().splitlines()] == [
        {"ev": "move", "t": 3.0, "courier": "c1", "to": "r1"},
        {"ev": "assign", "t": 9.0, "courier": "c1", "orders": ["o1", "o2"]},
        {"ev": "pickup", "t": 9.0, "courier": "c1", "orders": ["o1", "o2"]},
        {"ev": "dropoff", "t": 14.0, "courier": "c1", "order": "o1"},
    ]
