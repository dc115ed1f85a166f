"""Orders of a small web shop, invented: a table as people have them. All simulated.

Text, a date, blanks, an identifier, a column that never changes, Korean words, and the label in
words. Three kinds of fraud, as cardsharps leave them: dear orders at night shipped abroad; a known
basket with a device that its country never uses; many items whose amount does not fit them.

    python -m datasets.shop shop.csv          (writes the table, to try the commands on)
"""

import csv
import sys
from pathlib import Path

import numpy as np

ROWS = 6_000
FRAUD_SHARE = 0.03
DAYS = 90
FIRST_DAY = np.datetime64("2026-01-05T00:00:00", "s")  # a Monday
COUNTRIES = ("KR", "US", "DE", "JP", "VN")
CATEGORIES = ("도서", "의류", "전자제품", "식품", "화장품")
PRICES = (18.0, 45.0, 220.0, 12.0, 30.0)  # of one item of each category, in dollars
DEVICES = ("android", "ios", "web", "web-old")
BLANK_SHARE = 0.04


def simulate(rows: int = ROWS, seed: int = 0) -> dict[str, list[str]]:
    """The table: column -> cells as a CSV has them.

    Args:
        rows: orders, in order of time.
        seed: draws them; the same for the same arguments.

    >>> list(simulate(3))[:4]
    ['order_id', 'when', 'country', 'category']
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    fraud = rng.random(rows) < FRAUD_SHARE
    kind = rng.integers(0, 3, rows)
    dear, strange, cheap = (fraud & (kind == k) for k in range(3))

    day = rng.integers(0, DAYS, rows)
    hour = np.clip(rng.normal(14, 4, rows), 0, 23.99)
    hour[dear] = rng.normal(3, 2.5, dear.sum()) % 24
    when = FIRST_DAY + (86_400 * day + 3600 * hour).astype(np.int64)

    category = rng.choice(5, rows, p=[0.25, 0.25, 0.1, 0.25, 0.15])
    category[dear] = 2
    country = rng.choice(5, rows, p=[0.7, 0.12, 0.08, 0.06, 0.04])
    country[dear] = rng.choice(5, dear.sum(), p=[0.2, 0.4, 0.0, 0.0, 0.4])
    # an old browser is usual in Vietnam, and rare elsewhere
    device = rng.choice(4, rows, p=[0.45, 0.3, 0.235, 0.015])
    device[country == 4] = rng.choice(4, (country == 4).sum(), p=[0.5, 0.0, 0.1, 0.4])
    device[strange] = 3

    items = 1 + rng.poisson(1.2, rows)
    bulk = rng.random(rows) < 0.01  # honest orders for an office
    items[bulk | cheap] = rng.integers(7, 15, (bulk | cheap).sum())
    price = np.asarray(PRICES)[category] * np.exp(rng.normal(0, 0.35, rows))
    price[dear] *= rng.uniform(1.2, 3.5, dear.sum())
    amount = items * price
    amount[cheap] *= rng.uniform(0.08, 0.4, cheap.sum())
    age = rng.gamma(1.5, 300.0, rows)
    age[strange] = rng.gamma(1.0, 40.0, strange.sum())

    blank = rng.random(rows) < BLANK_SHARE
    order = np.argsort(when, kind="stable")
    table = {
        "order_id": [f"A{100_000 + i}" for i in range(rows)],
        "when": [str(when[i]).replace("T", " ") for i in order],
        "country": [COUNTRIES[country[i]] for i in order],
        "category": [CATEGORIES[category[i]] for i in order],
        "device": [DEVICES[device[i]] for i in order],
        "items": [str(items[i]) for i in order],
        "amount": [f"{amount[i]:.2f}" for i in order],
        "account_age_days": ["" if blank[i] else f"{age[i]:.0f}" for i in order],
        "currency": ["USD"] * rows,
        "outcome": ["fraud" if fraud[i] else "ok" for i in order],
    }
    return table


def write_csv(path: Path, rows: int = ROWS) -> None:
    """Write the table to a file.

    Args:
        path: of the CSV.
        rows: orders.
    """
    table = simulate(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_csv(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {ROWS:,} simulated orders")
