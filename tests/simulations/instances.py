"""Small instances of the public problem, made here: the real ones are not ours to ship."""

from pathlib import Path
from random import Random

PARAMETERS = (
    "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\t"
    "maximum click-to-door\tpay per order\tguaranteed pay per hour\n320\t4\t4\t40\t90\t10\t15\n"
)


def write_instance(folder: Path, *, orders: int = 40, couriers: int = 6, seed: int = 1) -> Path:
    """Write a day of `orders` orders in the public format and return its folder."""
    rng = Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    restaurants = [(f"r{i}", rng.randrange(6000), rng.randrange(6000)) for i in range(6)]
    (folder / "instance_parameters.txt").write_text(PARAMETERS)
    (folder / "restaurants.txt").write_text(
        "restaurant\tx\ty\n" + "".join(f"{name}\t{x}\t{y}\n" for name, x, y in restaurants)
    )
    (folder / "couriers.txt").write_text(
        "courier\tx\ty\ton_time\toff_time\n"
        + "".join(
            f"c{i}\t{rng.randrange(6000)}\t{rng.randrange(6000)}\t{30 * (i % 3)}\t{300 + 20 * i}\n"
            for i in range(couriers)
        )
    )
    lines = list[str]()
    for i in range(orders):
        placed = rng.randrange(10, 260)
        lines.append(
            f"o{i}\t{rng.randrange(6000)}\t{rng.randrange(6000)}\t{placed}\t"
            f"r{rng.randrange(6)}\t{placed + rng.randrange(8, 25)}\n"
        )
    header = "order\tx\ty\tplacement_time\trestaurant\tready_time\n"
    (folder / "orders.txt").write_text(header + "".join(lines))
    return folder
