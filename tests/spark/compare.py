"""Runs each job in Millstream and in Apache Spark over the same files; the finals must be equal.

    python compare.py MILLSTREAM [--rows N] [--seed N] [--only TEXT]

Prints a line a job and the number of rows that agree; ends with 1 if a job differs."""

import argparse
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

os.environ["TZ"] = "UTC"
time.tzset()

from pyspark.sql import SparkSession, functions as F  # noqa: E402 (after the zone is set)

import events  # noqa: E402

ORDERS = {"id": "int64", "at": "timestamp", "shop": "utf8", "amount": "float64", "gap": "int64"}
PAYMENTS = {"order_id": "int64", "at": "timestamp", "shop": "utf8", "paid": "float64"}
SPARK_TYPES = {"int64": "BIGINT", "timestamp": "TIMESTAMP", "utf8": "STRING", "float64": "DOUBLE"}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("millstream")
    arguments.add_argument("--rows", type=int, default=4000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--files", type=int, default=5)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events.write(folder, given.seed, given.rows, given.files)
        spark = start_spark(folder)
        # Spark makes columns only where there is a session.
        from jobs import JOBS

        jobs = [job for job in JOBS if given.only in job.name]
        print(f"Apache Spark {spark.version}, {given.rows} orders, seed {given.seed}", flush=True)
        different = [job.name for job in jobs if not agree(spark, given.millstream, folder, job)]
        spark.stop()
    if different or not jobs:
        sys.exit(f"{len(different)} of {len(jobs)} jobs differ: {', '.join(different)}")
    print(f"all {len(jobs)} jobs agree")


def agree(spark, millstream, folder, job):
    """Whether both engines give the same rows, in whatever order."""
    ours = sorted(map(comparable, run_millstream(millstream, folder, job)), key=sortable)
    theirs = sorted(map(comparable, run_spark(spark, folder, job)), key=sortable)
    ours, theirs = without_end(ours), without_end(theirs)
    same = len(ours) == len(theirs) and all(map(equal, ours, theirs)) and bool(ours)
    print(f"{'agrees ' if same else 'DIFFERS'}  {job.name}: {len(ours)} rows, Spark {len(theirs)}", flush=True)
    if not same:
        show_difference(ours, theirs)
    return same


def run_millstream(millstream, folder, job):
    name = re.sub("[^a-z0-9]+", "-", job.name.lower())
    database = os.path.join(folder, f"{name}.db")

    def source(stream, schema):
        time_ = {"column": "at", "delay": f"{events.DISORDER_S}s"}
        path = os.path.join(folder, stream, "*.json")
        return {"type": "file", "path": path, "format": "ndjson", "schema": schema, "event_time": time_}

    sink = {"from": "out", "type": "sqlite", "path": database, "table": "result"}
    spec = {
        "name": name,
        # Small batches, so that state lives through many of them.
        "trigger": {"available-now": True, "max_rows": 500},
        "parallelism": 2,
        "sources": {"orders": source("orders", ORDERS), "payments": source("payments", PAYMENTS)},
        "steps": job.steps,
        "sinks": {"result": {**sink, "key": job.key} if job.key else sink},
    }
    if job.tables:
        spec["tables"] = {
            table: {"type": "file", "path": os.path.join(folder, file), "format": "csv", "schema": schema}
            for table, (file, schema) in job.tables.items()
        }
    used = json.dumps(job.steps)
    spec["sources"] = {stream: value for stream, value in spec["sources"].items() if f'"{stream}"' in used}
    path = os.path.join(folder, f"{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    plugin = os.path.join(os.path.dirname(millstream), "../wasm32-wasip2/plugin/stats.wasm")
    command = [millstream, "run", path, *(["--plugin", plugin] if "stats/" in used else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{job.name}: millstream ended with {done.returncode}\n{done.stderr}")
    connection = sqlite3.connect(database)
    try:
        return connection.execute("SELECT * FROM result").fetchall()
    finally:
        connection.close()


def start_spark(folder):
    builder = SparkSession.builder.master("local[2]").appName("differential")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": folder,
        "spark.sql.streaming.checkpointLocation": os.path.join(folder, "spark"),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def run_spark(spark, folder, job):
    reader = spark.read if job.mode == "batch" else spark.readStream.option("maxFilesPerTrigger", 1)

    def stream(name, schema):
        types = ", ".join(f"{column} {SPARK_TYPES[kind]}" for column, kind in schema.items())
        rows = reader.schema(types).json(os.path.join(folder, name))
        return rows if job.mode == "batch" else rows.withWatermark("at", f"{events.DISORDER_S} seconds")

    def table(name):
        if name not in job.tables:
            return None
        file, schema = job.tables[name]
        types = ", ".join(f"{column} {SPARK_TYPES[kind]}" for column, kind in schema.items())
        # Nothing between two commas is text without characters, as in Millstream.
        reader = spark.read.schema(types).option("header", True).option("emptyValue", "").option("nullValue", "\0")
        return reader.csv(os.path.join(folder, file))

    query = job.query(stream("orders", ORDERS), stream("payments", PAYMENTS), table("shops"))
    if job.mode == "batch":
        return [tuple(row) for row in query.collect()]
    collected = []

    def take(batch, _):
        rows = [tuple(row) for row in batch.collect()]
        # `complete` gives everything each time.
        collected[:] = rows if job.mode == "complete" else collected + rows

    started = query.writeStream.outputMode(job.mode).foreachBatch(take).trigger(availableNow=True).start()
    started.awaitTermination()
    return collected


def comparable(row):
    return tuple(map(comparable_value, row))


def comparable_value(value):
    """Times as microseconds, all numbers as numbers."""
    if isinstance(value, str) and len(value) >= 20 and value.endswith("Z") and value[4:5] == "-":
        span = datetime.fromisoformat(value.replace("Z", "+00:00")) - EPOCH
        return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
    return value


def sortable(row):
    """Nulls first; floats that differ in their last bits stay together."""
    return tuple((value is not None, type(value) is str, f"{value:.6e}" if isinstance(value, float) else 0 if value is None else value) for value in row)


def without_end(rows):
    """The row that closes the streams is in its own windows and its own groups: far away from all others."""
    limit = events.LAST_US
    return [row for row in rows if events.END not in row and not any(type(v) is int and v > limit for v in row)]


def equal(ours, theirs):
    def same(left, right):
        if isinstance(left, float) and isinstance(right, (int, float)):
            return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
        return left == right

    return len(ours) == len(theirs) and all(map(same, ours, theirs))


def show_difference(ours, theirs):
    for label, rows, others in (("only Millstream", ours, theirs), ("only Spark", theirs, ours)):
        missing = [row for row in rows if not any(equal(row, other) for other in others)]
        for row in missing[:5]:
            print(f"    {label}: {row}")


if __name__ == "__main__":
    main()
