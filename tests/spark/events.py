"""Two streams of made-up events with what makes streams hard: disorder within a bound, duplicates, equal
times, null keys. Nothing is before 1970: Spark's watermark starts there, so its streaming drops such rows as late.
The same seed gives the same files."""

import json
import os
import random
from datetime import datetime, timedelta, timezone

# Rows come at most so much later than any that came before them; both engines are told so.
DISORDER_S = 30
# A row of this shop comes last and moves the watermark past everything else; it is left out of comparisons.
END = "~end"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_START_MS = 1_709_164_200_000  # ten minutes before the 29th of February 2024
_LENGTH_MS = 1_800_000
_END_MS = _START_MS + _LENGTH_MS + 30 * 86_400_000
# Everything else happens before; no other number is as large.
LAST_US = (_END_MS - 86_400_000) * 1000
_SHOPS = [f"shop-{n}" for n in range(7)] + ["Überall", "", None]


def write(folder, seed, rows, files):
    """Writes `orders` and `payments`, each cut into files that are to be read by name, and the table `shops.csv`."""
    _shops(os.path.join(folder, "shops.csv"))
    random_ = random.Random(seed)
    orders = _orders(random_, rows)
    payments = _payments(random_, orders)
    for name, events, end in (
        ("orders", orders, {"id": -1, "shop": END, "amount": 0.0, "gap": 1}),
        ("payments", payments, {"order_id": -1, "shop": END, "paid": 0.0}),
    ):
        _write(os.path.join(folder, name), _disordered(random_, events), end, files)


def _shops(path):
    """Some shops are not in it, one is twice, and one has no city."""
    rows = [("shop-0", "Ulm", 1990), ("shop-1", "Bonn", 2001), ("shop-1", "Köln", 2020), ("shop-3", "Ulm", 2011)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("shop,city,opened\n")
        for row in [*rows, ("Überall", "", 1950), (END, "Ende", 0)]:
            file.write(",".join(map(str, row)) + "\n")


def _orders(random_, rows):
    orders = []
    for number in range(rows):
        at = _START_MS + random_.randrange(_LENGTH_MS // 1000) * 1000 + random_.choice([0, 0, 250, 999])
        order = {
            "id": number,
            "at": at,
            "shop": random_.choice(_SHOPS),
            # Quarters add up exactly in whatever order.
            "amount": None if random_.random() < 0.05 else random_.randrange(-40, 400) * 0.25,
            "gap": random_.randrange(1, 12),
        }
        orders.append(order)
        if random_.random() < 0.1:
            orders.append(dict(order))
    return orders


def _payments(random_, orders):
    payments = []
    for order in orders:
        for _ in range(random_.choice([0, 1, 1, 2])):
            payments.append(
                {
                    "order_id": None if random_.random() < 0.05 else order["id"],
                    "at": order["at"] + random_.randrange(-20_000, 40_000, 500),
                    "shop": order["shop"],
                    "paid": random_.randrange(0, 200) * 0.25,
                }
            )
    return payments


def _disordered(random_, events):
    """In an order in which a row is less than the bound behind the newest one before it."""
    late = [(event["at"] + random_.randrange(DISORDER_S * 1000 - 1), event) for event in events]
    return [event for _, event in sorted(late, key=lambda pair: pair[0])]


def _write(folder, events, end, files):
    os.makedirs(folder)
    per_file = len(events) // files + 1
    parts = [events[at : at + per_file] for at in range(0, len(events), per_file)]
    parts.append([{**end, "at": _END_MS}])
    for number, part in enumerate(parts):
        path = os.path.join(folder, f"{number:03}.json")
        with open(path, "w", encoding="utf-8") as file:
            for event in part:
                file.write(json.dumps({**event, "at": _text(event["at"])}, ensure_ascii=False) + "\n")
        # Spark reads files in the order of their modification.
        os.utime(path, (1_000_000_000 + number * 10, 1_000_000_000 + number * 10))


def _text(at_ms):
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
