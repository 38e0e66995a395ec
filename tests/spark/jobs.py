"""Each job as a step of Millstream and as a query of Spark over the same two streams."""

from dataclasses import dataclass, field
from typing import Callable

from pyspark.sql import functions as F
from pyspark.sql.window import Window


@dataclass(frozen=True)
class Job:
    """A name, the steps whose last one is the result, and Spark's query over (orders, payments, shops)."""

    name: str
    steps: dict
    query: Callable
    # Streaming in `append` or `complete` mode; `batch` where Spark has no streaming for it.
    mode: str = "append"
    # Columns that tell rows of `emit: update` apart.
    key: list = field(default_factory=list)
    # Files that are read as a whole, with their columns.
    tables: dict = field(default_factory=dict)


_MATCH = F.expr("o.id = p.order_id AND p.at >= o.at - INTERVAL 5 SECONDS AND p.at <= o.at + INTERVAL 20 SECONDS")
_WITHIN = {"before": "5s", "after": "20s"}


def _micros(*columns):
    return [F.unix_micros(column).alias(column.replace(".", "_")) for column in columns]


def _windowed(window, *functions):
    """Start and end of the window, the shop, the functions."""

    def query(orders, *_):
        groups = orders.groupBy(window.alias("w"), "shop").agg(*functions)
        names = groups.columns[2:]
        return groups.select(F.unix_micros("w.start"), F.unix_micros("w.end"), "shop", *names)

    return query


def _aggregate(window, compute, **more):
    return {"out": {"from": "orders", "aggregate": {"by": ["shop"], "window": window, "compute": compute, **more}, "emit": "final"}}


_BASIC = {"n": "count()", "amounts": "count(amount)", "total": "sum(amount)", "least": "min(amount)", "most": "max(amount)", "mean": "avg(amount)"}
_SPARK_BASIC = [
    F.count("*").alias("n"),
    F.count("amount").alias("amounts"),
    F.sum("amount").alias("total"),
    F.min("amount").alias("least"),
    F.max("amount").alias("most"),
    F.avg("amount").alias("mean"),
]
_COUNT = F.count("*").alias("n")


def _windows_of_windows(orders, *_):
    small = orders.groupBy(F.window("at", "10 seconds"), "shop").agg(_COUNT)
    large = small.groupBy(F.window(F.window_time("window"), "60 seconds").alias("w")).agg(
        F.count("*").alias("windows"), F.max("n").alias("most")
    )
    return large.select(F.unix_micros("w.start"), F.unix_micros("w.end"), "windows", "most")


def _statistics(orders, *_):
    known = F.when(F.col("amount").isNotNull(), F.struct("at", "amount"))
    return orders.groupBy("shop").agg(
        F.stddev("amount"), F.var_pop("amount"), F.countDistinct("amount"), F.min(known)["amount"]
    )


def _joined(how, columns):
    def query(orders, payments, _):
        joined = orders.alias("o").join(payments.alias("p"), _MATCH, how)
        return joined.select(*columns)

    return query


_LEFT = ["o.id", F.unix_micros("o.at"), "o.shop", "o.amount"]
# The key has one column in Millstream, from whichever side there is.
_BOTH = [F.coalesce("o.id", "p.order_id"), *_LEFT[1:], F.unix_micros("p.at"), "p.paid"]


def _join(kind):
    join = {"left": "orders_", "right": "payments_", "on": {"id": "order_id"}, "kind": kind, "within": _WITHIN}
    keep_left = {"id": "id", "at": "at", "shop": "shop", "amount": "amount"}
    both = {**keep_left, "at_right": "at_right", "paid": "paid"}
    return {
        "orders_": {"from": "orders", "select": keep_left},
        "payments_": {"from": "payments", "select": {"order_id": "order_id", "at": "at", "paid": "paid"}},
        "joined": {"join": join},
        "out": {"from": "joined", "select": keep_left if kind in ("semi", "anti") else both},
    }


_TABLES = {"shops": ("shops.csv", {"shop": "utf8", "city": "utf8", "opened": "int64"})}


def _with_table(kind, columns):
    steps = {
        "joined": {"join": {"left": "orders", "right": "shops", "on": ["shop"], "kind": kind}},
        "out": {"from": "joined", "select": {column: column for column in columns}},
    }

    def query(orders, _, shops):
        how = {"inner": "inner", "left": "left_outer", "semi": "left_semi", "anti": "left_anti"}[kind]
        return orders.join(shops, "shop", how).select(*columns)

    return steps, query


def _counted_matches(orders, payments, _):
    joined = orders.alias("o").join(payments.alias("p"), _MATCH, "inner").select("o.at", "o.shop", "p.paid")
    groups = joined.groupBy(F.window("at", "1 minute").alias("w"), "shop").agg(_COUNT, F.sum("paid").alias("paid"))
    return groups.select(F.unix_micros("w.start"), F.unix_micros("w.end"), "shop", "n", "paid")


def _top(orders, *_):
    counts = orders.groupBy(F.window("at", "1 minute").alias("w"), "shop").agg(_COUNT)
    order = Window.partitionBy("w").orderBy(F.desc("n"), F.asc_nulls_last("shop"))
    ranked = counts.withColumn("rank", F.row_number().over(order)).where("rank <= 3")
    return ranked.select(F.unix_micros("w.start"), F.unix_micros("w.end"), "shop", "n", "rank")


def _same_window(orders, payments, _):
    left = orders.withColumn("w", F.window("at", "20 seconds")).alias("o")
    right = payments.withColumn("w", F.window("at", "20 seconds")).alias("p")
    joined = left.join(right, F.expr("o.id = p.order_id AND o.w = p.w"), "full_outer")
    window = F.coalesce("o.w", "p.w")
    return joined.select(F.unix_micros(window["start"]), F.unix_micros(window["end"]), *_BOTH)


def _own_sessions(orders, _payments, _shops):
    groups = orders.groupBy(F.session_window("at", "8100 milliseconds").alias("w"), "shop").agg(_COUNT)
    # The plugin tells the time of the last row, Spark that and the gap.
    return groups.select("shop", F.unix_micros("w.start"), F.unix_micros("w.end") - 8_100_000, "n")


def _wasm_mean(orders, *_):
    groups = orders.groupBy(F.window("at", "30 seconds", "10 seconds").alias("w"), "shop").agg(F.avg("amount").alias("mean"))
    return groups.select(F.unix_micros("w.start"), F.unix_micros("w.end"), "shop", "mean")


_WASM_MEAN = {"mean": {"wasm": "stats/mean@0.1", "of": ["amount"], "config": {"column": "amount"}}}
_OWN_SESSIONS = {"from": "orders", "state": "stats/sessions@0.1", "by": ["shop"], "config": {"time": "at", "gap_ms": 8100}}

JOBS = [
    Job(
        "tumbling windows",
        _aggregate({"tumbling": "10s"}, _BASIC),
        _windowed(F.window("at", "10 seconds"), *_SPARK_BASIC),
    ),
    Job(
        "tumbling windows with an offset",
        _aggregate({"tumbling": "1min", "offset": "7s"}, {"n": "count()"}),
        _windowed(F.window("at", "60 seconds", startTime="7 seconds"), _COUNT),
    ),
    Job(
        "sliding windows",
        _aggregate({"sliding": "30s", "slide": "5s"}, _BASIC),
        _windowed(F.window("at", "30 seconds", "5 seconds"), *_SPARK_BASIC),
    ),
    Job(
        "sliding windows whose slide does not divide them",
        _aggregate({"sliding": "10s", "slide": "3s"}, {"n": "count()"}),
        _windowed(F.window("at", "10 seconds", "3 seconds"), _COUNT),
    ),
    Job(
        "sessions",
        _aggregate({"session": "8s"}, _BASIC),
        _windowed(F.session_window("at", "8 seconds"), *_SPARK_BASIC),
    ),
    Job(
        "sessions with a gap in each row",
        _aggregate({"session": "gap"}, {"n": "count()"}),
        _windowed(F.session_window("at", F.expr("concat(gap, ' seconds')")), _COUNT),
    ),
    Job(
        "windows of windows",
        {
            "small": {"from": "orders", "aggregate": {"by": ["shop"], "window": {"tumbling": "10s"}, "compute": {"n": "count()"}}, "emit": "final"},
            "out": {"from": "small", "aggregate": {"window": {"tumbling": "1min"}, "compute": {"windows": "count()", "most": "max(n)"}}, "emit": "final"},
        },
        _windows_of_windows,
    ),
    Job(
        "groups for ever",
        {"out": {"from": "orders", "aggregate": {"by": ["shop"], "compute": _BASIC}}},
        lambda orders, *_: orders.groupBy("shop").agg(*_SPARK_BASIC),
        mode="complete",
        key=["shop"],
    ),
    Job(
        "statistics and first values",
        {
            "out": {
                "from": "orders",
                "aggregate": {
                    "by": ["shop"],
                    "compute": {
                        "deviation": "stddev(amount)",
                        "variance": "var_pop(amount)",
                        "kinds": "count(distinct amount)",
                        "opening": "first(amount, at)",
                    },
                },
            }
        },
        _statistics,
        mode="batch",
        key=["shop"],
    ),
    Job(
        "duplicates within a bound",
        {"once": {"from": "orders", "dedup": {"by": ["id"], "within": "1min"}}, "out": {"from": "once", "select": {"id": "id", "at": "at", "shop": "shop", "amount": "amount"}}},
        lambda orders, *_: orders.dropDuplicatesWithinWatermark(["id"]).select("id", *_micros("at"), "shop", "amount"),
    ),
    *(
        Job(f"{kind} join within a bound", _join(kind), _joined(how, columns), mode=mode)
        for kind, how, columns, mode in (
            ("inner", "inner", _BOTH, "append"),
            ("left", "left_outer", _BOTH, "append"),
            ("right", "right_outer", _BOTH, "append"),
            ("full", "full_outer", _BOTH, "append"),
            ("semi", "left_semi", _LEFT, "append"),
            ("anti", "left_anti", _LEFT, "batch"),
        )
    ),
    *(
        Job(f"{kind} join with a table", *_with_table(kind, columns), mode=mode, tables=_TABLES)
        for kind, columns, mode in (
            ("inner", ["id", "shop", "city", "opened"], "append"),
            ("left", ["id", "shop", "city", "opened"], "append"),
            ("semi", ["id", "shop", "amount"], "append"),
            ("anti", ["id", "shop", "amount"], "batch"),
        )
    ),
    Job(
        "full join by window",
        {
            **{name: step for name, step in _join("full").items() if name.endswith("_")},
            "joined": {"join": {"left": "orders_", "right": "payments_", "on": {"id": "order_id"}, "kind": "full", "window": {"tumbling": "20s"}}},
            "out": {"from": "joined", "select": {column: column for column in ("window_start", "window_end", "id", "at", "shop", "amount", "at_right", "paid")}},
        },
        _same_window,
        mode="batch",
    ),
    Job(
        "quarters of a day in Kathmandu",
        _aggregate({"tumbling": "6h", "zone": "Asia/Kathmandu"}, {"n": "count()"}),
        _windowed(F.window("at", "6 hours", startTime="15 minutes"), _COUNT),
    ),
    Job("a plugin's aggregate in sliding windows", _aggregate({"sliding": "30s", "slide": "10s"}, _WASM_MEAN), _wasm_mean),
    Job("a plugin's state and timers", {"out": _OWN_SESSIONS}, _own_sessions),
    Job(
        "windows over a join",
        {
            **{name: step for name, step in _join("inner").items() if name != "out"},
            "out": {"from": "joined", "aggregate": {"by": ["shop"], "window": {"tumbling": "1min", "on": "at"}, "compute": {"n": "count()", "paid": "sum(paid)"}}, "emit": "final"},
        },
        _counted_matches,
    ),
    Job(
        "the first of each window",
        {
            "counts": {"from": "orders", "aggregate": {"by": ["shop"], "window": {"tumbling": "1min"}, "compute": {"n": "count()"}}, "emit": "final"},
            "out": {"from": "counts", "top": {"by": ["window_start", "window_end"], "order": "n desc, shop", "n": 3}, "emit": "final"},
        },
        _top,
        mode="batch",
    ),
]
