#!/usr/bin/env python3
"""Shows Millstream at work: starts a server, uploads plugins and deploys two pipelines over REST, feeds one of them
over TCP, and prints what they computed. Only the standard library of Python 3.9 or newer is needed.

`make demo` builds everything and runs this from the root of the checkout. PORT chooses another port than 7070; the
earthquakes then come in on PORT + 1. All data is under .demo/, which is made anew.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT") or 7070)
TCP_PORT = PORT + 1
URL = f"http://{HOST}:{PORT}"
PLUGINS = ("text", "json", "geo", "stats")
QUAKES = ROOT / "examples/data/earthquakes.ndjson"
# A week of earthquakes goes by in about seven seconds.
REPLAY_SPEEDUP = 86_400
ANSWER_SECONDS_MAX = 60
DONE_SECONDS_MAX = 900


class DemoFailed(Exception):
    """What to tell the user; no traceback helps."""


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    os.chdir(ROOT)
    for port in (PORT, TCP_PORT):
        check_free(port)
    target = target_directory()
    fresh_directory()
    with server(target / "release/millstream") as process:
        heading(f"1. Upload plugins ({URL}/v1/plugins)")
        for name in PLUGINS:
            upload(target / f"wasm32-wasip2/plugin/{name}.wasm")
        heading("2. Count words in the Rust sources of this machine's cargo registry")
        lines, words = count_words(process)
        heading("3. Earthquakes over TCP, by hours of event time")
        rows = watch_earthquakes(process)
        heading("4. In all")
        print(f"{lines['rows']:,} lines, {lines['bytes'] / 1e6:,.0f} MB and {words:,} counted words in {lines['seconds']:.1f} s: "
              f"{lines['rows'] / lines['seconds']:,.0f} lines/s, {lines['bytes'] / 1e6 / lines['seconds']:,.0f} MB/s, exactly once")
        print(f"{rows:,} earthquakes into .demo/quakes.db, each once")
        offer_to_stay(process)


def interrupt(*_):
    raise KeyboardInterrupt


def check_free(port):
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoFailed(f"port {port} on {HOST} cannot be used ({error.strerror}): stop what listens there, or choose "
                             f"another port, as in `make demo PORT=8080`") from None


def target_directory():
    told = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"],
                          check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return Path(json.loads(told.stdout)["target_directory"])


def fresh_directory():
    if DEMO.exists():
        shutil.rmtree(DEMO)
    DEMO.mkdir()
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    registry = cargo_home / "registry/src"
    if not registry.is_dir():
        print(f"There are no sources in {registry} (are dependencies vendored?): counting this project's own instead.")
        registry = ROOT / "host"
    (DEMO / "registry").symlink_to(registry)


@contextlib.contextmanager
def server(binary):
    """Runs a server; whatever happens inside, it is stopped by its own pid."""
    command = [str(binary), "serve", "--listen", f"{HOST}:{PORT}", "--data-dir", ".demo/data"]
    heading("0. Start the server")
    shell(f"millstream serve --listen {HOST}:{PORT} --data-dir .demo/data")
    with open(DEMO / "server.log", "wb") as log:
        # A session of its own: Ctrl-C reaches this script, and the script ends the server in good order.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(process, "the server to be ready", ANSWER_SECONDS_MAX, is_ready)
        print(f"pid {process.pid}, log in .demo/server.log")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print("\nThe server is stopped. What was written: .demo/words.db, .demo/quakes.db")


def is_ready():
    try:
        with urllib.request.urlopen(f"{URL}/readyz", timeout=5):
            return True
    except OSError:
        return False


def wait_until(process, what, seconds, is_done):
    deadline = time.monotonic() + seconds
    while not is_done():
        if process.poll() is not None:
            raise DemoFailed(f"the server ended with status {process.returncode}; its last words:\n{last_words()}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {seconds} s for {what}; the server's last words:\n{last_words()}")
        time.sleep(0.1)


def last_words():
    lines = (DEMO / "server.log").read_text(errors="replace").splitlines()
    return "\n".join("  " + line for line in lines[-10:])


def ask(method, path, body=None, content_type=None):
    headers = {"content-type": content_type} if content_type else {}
    request = urllib.request.Request(URL + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"{method} {path} was answered with {error.code}: {error.read().decode(errors='replace')}") from None


def upload(component):
    shell(f"curl --data-binary @{component.name} -H 'content-type: application/wasm' {URL}/v1/plugins")
    plugin = ask("POST", "/v1/plugins", component.read_bytes(), "application/wasm")
    operators = ", ".join(operator["name"] for operator in plugin["operators"])
    print(f"{plugin['name']} {plugin['version']}: {operators} ({plugin['size_bytes'] / 1024:,.0f} KiB)")


def deploy(name):
    path = f"examples/pipelines/{name}.yaml"
    shell(f"curl --data-binary @{path} -H 'content-type: application/yaml' {URL}/v1/pipelines")
    spec = Path(path).read_text()
    if TCP_PORT != 7071:
        spec = spec.replace("127.0.0.1:7071", f"{HOST}:{TCP_PORT}")
    deployed = ask("POST", "/v1/pipelines", spec.encode(), "application/yaml")
    for guarantee in deployed["guarantees"]:
        print(f"deployed: sink `{guarantee['sink']}` gets {guarantee['delivery']}")
        for reason in guarantee["reasons"]:
            print(f"  {reason}")


class Batches:
    """The batches of a pipeline, as they are committed."""

    def __init__(self, pipeline):
        self.pipeline, self.seen = pipeline, 0

    def new(self):
        newest = ask("GET", f"/v1/pipelines/{self.pipeline}/progress?limit=100")
        fresh = [batch for batch in reversed(newest) if batch["batchId"] > self.seen]
        if fresh:
            self.seen = fresh[-1]["batchId"]
        return fresh

    def state(self):
        pipeline = ask("GET", f"/v1/pipelines/{self.pipeline}")
        if pipeline["state"] == "failed":
            raise DemoFailed(f"pipeline {self.pipeline} failed: {pipeline.get('reason')}")
        return pipeline["state"]


def count_words(process):
    size = sum(file.stat().st_size for file in (DEMO / "registry").resolve().glob("**/*.rs") if file.is_file())
    deploy("word-count")
    start = time.monotonic()
    batches, rows = Batches("word-count"), 0
    columns("batch", "lines", "lines/s", "batch ms", "dead letters")

    def is_finished():
        nonlocal rows
        # Asked first: batches that are committed after this answer are looked at in the next round.
        finished = batches.state() == "finished"
        for batch in batches.new():
            rows += batch["numInputRows"]
            columns(batch["batchId"], f"{batch['numInputRows']:,}", f"{batch['processedRowsPerSecond']:,.0f}",
                    f"{batch['durationMs']['triggerExecution']:,.0f}", sum(batch["deadLetters"].values()))
        return finished

    wait_until(process, "the word count", DONE_SECONDS_MAX, is_finished)
    seconds = time.monotonic() - start
    with contextlib.closing(sqlite3.connect(DEMO / "words.db")) as db:
        words, different = db.execute("SELECT sum(n), count(*) FROM words").fetchone()
        top = db.execute("SELECT word, n FROM words ORDER BY n DESC, word LIMIT 20").fetchall()
    print(f"\nThe 20 most frequent of {different:,} different words (.demo/words.db):")
    for left, right in zip(top[:10], top[10:]):
        print(f"  {left[0]:<12}{left[1]:>12,}    {right[0]:<12}{right[1]:>12,}")
    return {"rows": rows, "bytes": size, "seconds": seconds}, words


def watch_earthquakes(process):
    deploy("earthquakes")
    records = QUAKES.read_bytes().splitlines(keepends=True)
    batches = Batches("earthquakes")
    wait_until(process, "the TCP socket", ANSWER_SECONDS_MAX, lambda: batches.state() == "running")
    print(f"replaying {len(records):,} records of {QUAKES.relative_to(ROOT)} to {HOST}:{TCP_PORT}, a day a second")
    failures = []
    sender = threading.Thread(target=replay, args=(records, failures), daemon=True)
    sender.start()
    rows, shown = 0, 0.0
    columns("batch", "rows in all", "rows/s", "batch ms", "watermark")

    def have_all_come():
        nonlocal rows, shown
        if failures:
            raise DemoFailed(f"the records could not be sent: {failures[0]}")
        for batch in batches.new():
            rows += batch["numInputRows"]
            if time.monotonic() - shown > 0.5 or rows == len(records):
                shown = time.monotonic()
                columns(batch["batchId"], f"{rows:,}", f"{batch['inputRowsPerSecond']:,.0f}",
                        f"{batch['durationMs']['triggerExecution']:.1f}", batch["eventTime"].get("watermark", "-")[:19])
        return rows >= len(records)

    wait_until(process, "the earthquakes", ANSWER_SECONDS_MAX, have_all_come)
    show_hours(len(records))
    return rows


def replay(records, failures):
    """Sends records in order of time, each when its time has come."""
    try:
        first = json.loads(records[0])["time"]
        start = time.monotonic()
        with socket.create_connection((HOST, TCP_PORT), timeout=ANSWER_SECONDS_MAX) as connection:
            for record in records:
                due = start + (json.loads(record)["time"] - first) / 1000 / REPLAY_SPEEDUP
                time.sleep(max(0.0, due - time.monotonic()))
                connection.sendall(record)
    except OSError as error:
        failures.append(error)


def show_hours(sent):
    with contextlib.closing(sqlite3.connect(DEMO / "quakes.db")) as db:
        hours, quakes = db.execute("SELECT count(*), sum(quakes) FROM hours").fetchone()
        if quakes != sent:
            raise DemoFailed(f"{sent} records were sent, but the windows count {quakes}")
        print(f"\n{hours} windows of an hour with {quakes:,} earthquakes (.demo/quakes.db); the ten with the strongest:")
        print(f"  {'hour (UTC)':<18}{'quakes':>7}  strongest")
        rows = db.execute("SELECT window_start, quakes, strongest FROM hours ORDER BY strongest DESC, window_start LIMIT 10")
        for window_start, count, strongest in rows:
            print(f"  {window_start[:16].replace('T', ' '):<18}{count:>7}  {strongest:.1f}")


def offer_to_stay(process):
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if input("\nLeave the server up, to try things by hand? [y/N] ").strip().lower() not in ("y", "yes"):
        return
    print(f"{URL} answers until you press Ctrl-C (README.md has commands to try)")
    # Ctrl-C is the way out here, not a failure.
    with contextlib.suppress(KeyboardInterrupt):
        while process.poll() is None:
            time.sleep(0.5)


def heading(text):
    print(f"\n== {text}", flush=True)


def shell(command):
    print(f"$ {command}", flush=True)


def columns(*values):
    print("".join(f"{value:>14}" if i < 4 else f"  {value:<20}" for i, value in enumerate(values)).rstrip(), flush=True)


if __name__ == "__main__":
    try:
        main()
    except DemoFailed as failed:
        sys.exit(f"demo: {failed}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
    except BrokenPipeError:
        sys.exit(1)
