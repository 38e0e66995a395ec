#!/bin/sh
# Compares windows, joins and functions with Apache Spark's over the same files: tests/spark. Installs Java (Debian's
# package, as root or with sudo) and pyspark (in the target folder) where they are missing. Arguments go to compare.py.
set -eu
cd "$(dirname "$0")/.."

PYSPARK=4.3.0
target=${CARGO_TARGET_DIR:-target}
venv=$target/pyspark-$PYSPARK

say() { printf 'test-spark: %s\n' "$*" >&2; }

missing=
java -version >/dev/null 2>&1 || missing="$missing openjdk-17-jre-headless"
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 || { say "install Java 17 and Python's venv"; exit 1; }
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    say "installing$missing"
    $as_root apt-get update -qq </dev/null
    # shellcheck disable=SC2086 # a list of packages
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >&2
fi

"$venv/bin/python" -c 'import pyspark' >/dev/null 2>&1 || {
    say "installing pyspark $PYSPARK into $venv (once)"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-input "pyspark==$PYSPARK"
}

PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" tests/spark/compare.py "$target/release/millstream" "$@"
