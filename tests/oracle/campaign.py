"""Random small replays, held against the oracle.

    python3 tests/oracle/campaign.py --binary target/debug/watchkeep --seeds 0..2000

A seed makes a charter folder, one to three inputs and settings. The binary
replays them twice; its windows, breaches and late summaries must be those of
the oracle, and some laws must hold whatever the oracle says. A mismatch prints
its seed, the first lines that differ and the fewest events that still show it.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is left beside the sources
import oracle  # noqa: E402

# Differing lines shown of one mismatch.
LINES_SHOWN = 6
# Replays that looking for the fewest events may cost.
SHRINK_RUNS_MAX = 300
# From this seed on cases have all kinds of windows, silence and repeats of events;
# those before have tumbling windows alone, and stay as they were.
ALL_KINDS_FROM = 1_000_000
# From this seed on they have objectives, too.
OBJECTIVES_FROM = 2_000_000
BEGIN = oracle.instant("2024-03-03T23:00:00Z")  # an hour before a Monday
SECOND = oracle.UNITS["s"]
MINUTE = oracle.UNITS["m"]


# -------------------------------------------------------------------- cases

def restless_expectations(rng, pane):
    """Volumes that one more late event turns from bad to good and back, in short windows."""
    low = rng.randint(1, 4)
    of = rng.randint(1, 4)
    return [{"name": "volume", "kind": "volume", "window": oracle.span_text(pane * rng.choice([1, 1, 2])),
             "below": low, "above": low + rng.choice([0, 0, 1]), "resolve_after": rng.randint(1, 2),
             "for": {"k": rng.randint(1, of), "of": of}}]


def random_expectations(rng, pane):
    # Most features take one or two shapes, so that several expectations share a window.
    sizes = [pane * rng.choice([1, 1, 2, 3, 5, 10]) for _ in range(rng.randint(1, 2))]
    found = []
    for number in range(rng.choice([0, 1, 1, 2, 3, 4])):
        kind = rng.choice(["volume", "latency", "null_rate", "range", "error_rate"])
        e = {"name": f"{kind}-{number}", "kind": kind, "window": oracle.span_text(rng.choice(sizes))}
        if kind == "volume":
            low = rng.randint(0, 4)
            which = rng.randint(1, 3)
            if which & 1:
                e["below"] = low
            if which & 2:
                e["above"] = low + rng.randint(0, 5)
            if rng.random() < 0.3:
                e["resolve"] = {k: e[k] + (2 if k == "below" else -1) for k in ("below", "above")
                                if k in e and e[k] > 0}
                if not e["resolve"] or e["resolve"].get("below", 0) > e["resolve"].get("above", 99):
                    del e["resolve"]
        elif kind == "latency":
            e.update(quantile="max", above=f"{rng.randint(1, 9)}ms")
            if rng.random() < 0.3:
                e["resolve"] = {"above": f"{rng.randint(1, int(e['above'][:-2]))}ms"}
        elif kind in ("null_rate", "error_rate"):
            e["above"] = rng.choice([0.05, 0.1, 0.25, 0.5])
            if rng.random() < 0.8:
                e["confidence"] = rng.choice([0.6, 0.8, 0.9])
            if rng.random() < 0.3:
                e["resolve"] = {"above": e["above"] / 2}
        else:
            e.update(min=rng.randint(-5, 0), max=rng.randint(1, 9))
            if rng.random() < 0.7:
                e["above"] = rng.choice([0.1, 0.25, 0.5])
                if rng.random() < 0.3:
                    e["resolve"] = {"above": e["above"] / 2}
        if rng.random() < 0.9:
            e["min_samples"] = rng.choice([1, 1, 2, 3, 5])
        if rng.random() < 0.4:
            of = rng.randint(1, 4)
            e["for"] = {"k": rng.randint(1, of), "of": of}
        if rng.random() < 0.4:
            e["resolve_after"] = rng.randint(1, 3)
        if rng.random() < 0.4:
            e["severity"] = rng.choice(["critical", "error", "warning", "info"])
        # Volumes that no window meets together are refused.
        alike = [one for one in (*found, e) if one["kind"] == "volume" and one["window"] == e["window"]]
        if e["kind"] != "volume" or (max(one.get("below", 0) for one in alike)
                                     <= min(one.get("above", 99) for one in alike)):
            found.append(e)
    return found


def random_event(rng, time, features, versions):
    event = {"feature": rng.choice(features), "event_time": time}
    if rng.random() < 0.8:
        event["value"] = rng.choice([None, 0, 1, 2.5, -3, 7, 12, -8.25, 1e-9])
    if rng.random() < 0.35:
        event["status"] = rng.choice(["ok", "null", "not_found", "stale", "error", "timeout", "defaulted"])
    if rng.random() < 0.6:
        event["latency_us"] = rng.choice([0, 100, 1000, 2000, 5000, 9000, rng.randint(0, 12000)])
    version = rng.choice(versions)
    if version:
        event["feature_version"] = version
    return event


def random_window(rng, pane):
    """A window other than a tumbling one; hops that divide the size and others."""
    if rng.random() < 0.5:
        return {"kind": "session", "gap": oracle.span_text(pane * rng.choice([1, 1, 2, 3]) +
                                                           rng.choice([0, 0, 0, 1, 7]) * SECOND)}
    size = rng.randint(1, 8)
    return {"kind": "hopping", "size": oracle.span_text(pane * size),
            "hop": oracle.span_text(pane * rng.choice([1, 1, size, rng.randint(1, size)]))}


def with_all_kinds(case, seed):
    """The case with other windows, silence, and events that are named and repeated."""
    rng = random.Random(f"all kinds {seed}")
    pane = case["settings"]["pane"]
    for document in case["documents"]:
        windows = [random_window(rng, pane) for _ in range(rng.randint(1, 2))]
        for e in document.get("expectations", []):
            if rng.random() < 0.7:
                e["window"] = rng.choice(windows)
        if rng.random() < 0.4:
            # A session has no silence.
            grids = [oracle.span_text(pane * rng.randint(1, 5)),
                     *(w for w in windows if w["kind"] == "hopping")]
            e = {"name": "silence", "kind": "silence", "window": rng.choice(grids),
                 "after": oracle.span_text(pane * rng.randint(1, 6) + rng.choice([0, 0, 1]) * SECOND)}
            if rng.random() < 0.3:
                e["resolve"] = {"after": oracle.span_text(oracle.span(e["after"]) // 2)}
            if rng.random() < 0.4:
                e["for"] = {"k": rng.randint(1, 2), "of": 2}
            document.setdefault("expectations", []).append(e)
        if rng.random() < 0.4:
            document["deduplicate"] = oracle.span_text(
                rng.choice([1, 30, 60, 300, 3600]) * SECOND)
    for name, lines in case["files"].items():
        found, names = [], rng.choice([3, 10, 40])
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                found.append(line)
                continue
            if rng.random() < 0.6:
                event["event_id"] = f"e{rng.randrange(names)}"
            found.append(json.dumps(event))
            if rng.random() < 0.1:
                # Sent again, now or later, by the same name.
                at = rng.choice([len(found), rng.randint(0, len(found))])
                found.insert(at, rng.choice(found[-10:]))
        case["files"][name] = found
    return case


def with_objectives(case, seed):
    """The case with objectives of one or several conditions, and values that have an age."""
    rng = random.Random(f"objectives {seed}")
    pane = case["settings"]["pane"]
    for document in case["documents"]:
        for number in range(rng.choice([0, 1, 1, 2])):
            conditions = {
                "status": rng.sample(["ok", "null", "not_found", "stale", "defaulted"], rng.randint(1, 4)),
                "latency_below": f"{rng.randint(1, 9)}ms",
                "age_below": f"{rng.randint(1, 90)}s",
            }
            size = rng.randint(1, 8)
            e = {"name": f"slo-{number}", "kind": "slo", "objective": rng.choice([0.5, 0.9, 0.95, 0.99]),
                 "good": {name: conditions[name] for name in rng.sample(sorted(conditions), rng.choice([1, 1, 2, 3]))},
                 "window": rng.choice([
                     oracle.span_text(pane * size),
                     {"kind": "hopping", "size": oracle.span_text(pane * size),
                      "hop": oracle.span_text(pane * rng.randint(1, size))}]),
                 "min_samples": rng.choice([0, 1, 2, 5])}
            if rng.random() < 0.3:
                e["period"] = rng.choice(["1d", "1w"])
            if rng.random() < 0.4:
                of = rng.randint(1, 3)
                e["for"] = {"k": rng.randint(1, of), "of": of}
            if rng.random() < 0.4:
                e["resolve_after"] = rng.randint(1, 3)
            document.setdefault("expectations", []).append(e)
    for name, lines in case["files"].items():
        for at, line in enumerate(lines):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if rng.random() < 0.7:
                age = rng.choice([0, 1, rng.randint(1, 100)]) * SECOND - rng.choice([0, 0, 0, 1, 2 * SECOND])
                event["materialised_at"] = oracle.instant_text(oracle.instant(event["event_time"]) - age)
            lines[at] = json.dumps(event)
    return case


def random_case(seed):
    case = tumbling_case(seed)
    if seed >= ALL_KINDS_FROM:
        case = with_all_kinds(case, seed)
    return with_objectives(case, seed) if seed >= OBJECTIVES_FROM else case


def tumbling_case(seed):
    """{documents, settings, since, until, files: {name: [text of a line]}}; the lines as text,
    so that a mismatch can be made smaller line by line."""
    rng = random.Random(seed)
    pane = rng.choice([60, 60, 60, 10, 30]) * SECOND
    settings = {
        "pane": pane,
        "out_of_orderness": rng.choice([0, 1, 30, 60, 90, 300]) * SECOND,
        "allowed_lateness": pane * rng.choice([0, 1, 2, 4, 10, 40]),
        "revise_every": pane * rng.choice([1, 2, 3, 5, 10]),
    }
    expectations = random_expectations
    if rng.random() < 0.2:
        expectations = restless_expectations
        settings.update(allowed_lateness=pane * rng.choice([5, 10, 20]), revise_every=pane)
    names = ["a", "b", "p.x", "p.y", "q.z", "none"]
    documents = []
    for subject in ["a", "b", "p.*", "p.x", "q.*"]:
        if rng.random() < 0.6:
            document = {"subject": subject, "expectations": expectations(rng, pane)}
            if not document["expectations"]:
                del document["expectations"]
            documents.append(document)
    files = {}
    length = pane * rng.choice([5, 15, 40, 80])
    for name in ["events-b.ndjson", "events-a.ndjson", "events-c.ndjson"][:rng.choice([1, 1, 2, 3])]:
        features = rng.sample(names, rng.randint(1, len(names)))
        versions = rng.choice([[""], [""], ["", "v1"], ["v1", "v2"]])
        disorder = rng.choice([0, 10, 60, 300, 1200]) * SECOND
        begin, lines = BEGIN + rng.choice([0, 0, 7, 3000]) * SECOND, []
        count = rng.choice([0, 3, 20, 60, 60, 150])
        for i in range(count):
            time = begin + (rng.randrange(length) if rng.random() < 0.02 else length * i // max(count, 1))
            time -= rng.randint(0, disorder)
            if rng.random() < 0.15:
                time = time // pane * pane - rng.choice([0, 0, 1])
            event = random_event(rng, time, features, versions)
            if rng.random() < 0.05:
                batch = {name: event.get("value") for name in sorted(rng.sample(names, 2))}
                event.pop("value", None)
                del event["feature"]
                event["features"] = batch
            if rng.random() < 0.05:
                event["received_at"] = oracle.instant_text(time + rng.randint(-600, 60) * SECOND)
            event["event_time"] = oracle.instant_text(time)
            lines.append("" if rng.random() < 0.01 else "{\"feature\":" if rng.random() < 0.01 else
                         json.dumps(event))
        files[name] = lines
    since = BEGIN + rng.randrange(length) // 2 if rng.random() < 0.12 else None
    until = None
    if rng.random() < 0.2:
        until = BEGIN + length // 2 + rng.randrange(length)
        if rng.random() < 0.5:
            until = until // pane * pane
    if since is not None and until is not None and since >= until:
        since = None
    return {"documents": documents, "settings": settings, "since": since, "until": until, "files": files}


def records(lines):
    """The records of a file as the oracle takes them."""
    found = []
    for line in lines:
        if not line:
            continue
        try:
            o = json.loads(line)
        except ValueError:
            found.append(oracle.Reject())
            continue
        time = oracle.instant(o["event_time"])
        if "received_at" in o and time > oracle.instant(o["received_at"]) + 5 * MINUTE:
            found.append(oracle.Reject(time))
            continue
        age = time - oracle.instant(o["materialised_at"]) if "materialised_at" in o else None
        values = o["features"] if "features" in o else {o["feature"]: o.get("value")}
        found.append([{"feature": name, "time": time, "id": o.get("event_id"), "version": o.get("feature_version", ""),
                       "value": value, "status": o.get("status", "ok"), "latency_us": o.get("latency_us"),
                       "age_us": age}
                      for name, value in values.items()])
    return found


# ------------------------------------------------------------------ running

def write_case(case, folder):
    charters = folder / "charters"
    charters.mkdir(parents=True)
    parts = [{"kind": "directory",
              "users": {"ada": {"name": "Ada", "contacts": [{"tool": "email", "to": "ada@example.com"}]}}},
             {"kind": "policy", "name": "p", "version": 1, "loops": 1,
              "grouping": {"by": ["root", "kind"], "group_wait": "60s"},
              "steps": [{"name": "first", "notify": [{"role": "primary"}], "acknowledge_within": "5m",
                         "channels": [{"tool": "email", "to": "a@example.com"}]}]}]
    for document in case["documents"]:
        parts.append({"kind": "charter", "policy": "p", "owners": {"primary": "user:ada"}, **document,
                      "subject": "feature:" + document["subject"]})
    # JSON is YAML.
    (charters / "all.yaml").write_text("\n---\n".join(json.dumps(p) for p in parts) + "\n")
    (folder / "watchkeep.toml").write_text("[time]\n" + "".join(
        f'{name} = "{oracle.span_text(us) if us else "0s"}"\n' for name, us in case["settings"].items()))
    for name, lines in case["files"].items():
        (folder / name).write_text("".join(line + "\n" for line in lines))


def replay(binary, folder, case, out):
    command = [binary, "replay", "--charters", folder / "charters", "-c", folder / "watchkeep.toml",
               "--out", folder / out]
    for name in case["files"]:
        command += ["--input", folder / name]
    for option, value in (("--from", case["since"]), ("--to", case["until"])):
        if value is not None:
            command += [option, oracle.instant_text(value)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WATCHKEEP_")}
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode != 0:
        return f"replay ended with {done.returncode}: {done.stderr.strip()}"
    return None


def read(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def objective(slo):
    """What an objective came to, as the oracle tells it."""
    if slo is None:
        return None
    counts = ("long_total", "long_bad", "short_total", "short_bad", "judged", "fired")
    return (slo["total"], slo["bad"], slo.get("bad_at_most"),
            [tuple(pair[name] for name in counts) for pair in slo["pairs"]])


def actual(folder):
    """What the binary wrote, in the oracle's terms."""
    windows, breaches, late = [], [], {}
    for w in read(folder / "windows.ndjson"):
        windows.append({
            **{k: w.get(k) for k in ("feature", "feature_version", "window", "revision", "partial", "count",
                                     "null_count", "error_count", "late_count", "min", "max", "status")},
            "window_start": oracle.instant(w["window_start"]), "window_end": oracle.instant(w["window_end"]),
            "latency_max": w.get("latency_us", {}).get("max"),
            "last_event_time": oracle.instant(w["last_event_time"]) if "last_event_time" in w else None,
            "judged": [(j["expectation"], j["verdict"], objective(j.get("slo"))) for j in w.get("judged", [])]})
    ids = {}
    for b in read(folder / "breaches.ndjson"):
        # A silence is that of all versions.
        version = None if b["kind"] == "silence" else b["feature_version"]
        of = ids.setdefault((b["feature"], version, b["expectation"]), [])
        if b["breach_id"] not in of:
            of.append(b["breach_id"])
        breaches.append({
            **{k: b.get(k) for k in ("transition", "feature", "feature_version", "expectation", "kind",
                                     "severity", "window", "revision")},
            "window_start": oracle.instant(b["window_start"]), "detected_at": oracle.instant(b["detected_at"]),
            "breach": of.index(b["breach_id"])})
    for r in read(folder / "rejects.ndjson"):
        if r["reason"] == "late":
            key = (r["feature"], r["window"], oracle.instant(r["window_start"]))
            late[key] = late.get(key, 0) + r["count"]
    return windows, breaches, late


# --------------------------------------------------------------------- laws

def laws(folder, model):
    """Sentences about laws that the output breaks, whatever the oracle expects."""
    broken = []
    summary = json.loads((folder / "replay.json").read_text())
    for name, wanted in (("events", model.events), ("rejected", model.rejected),
                         ("duplicates", model.duplicates)):
        if summary[name] != wanted:
            broken.append(f"replay.json {name}: {summary[name]}, expected {wanted}")
    windows = read(folder / "windows.ndjson")
    rejects = read(folder / "rejects.ndjson")
    late = [r for r in rejects if r["reason"] == "late"]
    if summary["late"] != sum(r["count"] for r in late):
        broken.append("replay.json late is not the sum of the late summaries")
    if len(rejects) - len(late) != summary["rejected"]:
        broken.append("replay.json rejected is not the number of rejects")
    # Each event once for each window of its time: in its last revision, or too late for it.
    last, counted = {}, {}
    for w in windows:
        last[w["feature"], w["feature_version"], w["window"], w["window_start"]] = w["count"]
    for (feature, _, shape, _), count in last.items():
        counted[feature, shape] = counted.get((feature, shape), 0) + count
    for r in late:
        counted[r["feature"], r["window"]] = counted.get((r["feature"], r["window"]), 0) + r["count"]
    for feature, times in model.taken.items():
        for shape in model.shapes(feature):
            wanted = sum(1 if shape.gap is not None else len(shape.starts(time)) for time in times)
            if counted.get((feature, shape.name), 0) != wanted:
                broken.append(
                    f"{feature} {shape.name}: {counted.get((feature, shape.name), 0)} events counted of {wanted}")
    # No revision of a window is told twice.
    told = [(w["feature"], w["feature_version"], w["window"], w["window_start"], w["revision"]) for w in windows]
    if len(set(told)) != len(told):
        broken.append("a revision of a window is told twice")
    # A breach is opened once, then told of until it ends, and not after.
    opened, ended = set(), set()
    for b in read(folder / "breaches.ndjson"):
        breach = b["breach_id"]
        if (b["transition"] == "opened") == (breach in opened):
            broken.append(f"breach {breach} is {b['transition']} at the wrong time")
        if breach in ended and b["transition"] != "retracted":
            broken.append(f"breach {breach} is {b['transition']} after its end")
        opened.add(breach)
        if b["transition"] in ("cleared", "retracted"):
            ended.add(breach)
    # The hash is over the line without it.
    previous, sequence = {}, {}
    for line in (folder / "incidents.ndjson").read_text().splitlines():
        fact = json.loads(line)
        incident, tail = fact["incident_id"], f',"hash":"{fact["hash"]}"}}'
        if not line.endswith(tail):
            broken.append(f"incident {incident}: the hash is not the last field")
        if hashlib.sha256((line[:-len(tail)] + "}").encode()).hexdigest() != fact["hash"]:
            broken.append(f"incident {incident} {fact['sequence']}: wrong hash")
        if fact.get("previous_hash") != previous.get(incident):
            broken.append(f"incident {incident} {fact['sequence']}: the chain is broken")
        if fact["sequence"] != sequence.get(incident, 0) + 1:
            broken.append(f"incident {incident}: sequence {fact['sequence']}")
        previous[incident], sequence[incident] = fact["hash"], fact["sequence"]
    for r in rejects:
        if "bytes" in r:
            base64.b64decode(r["bytes"], validate=True)
    return broken


def audited(binary, folder):
    """What the audit of a folder finds in one in which nothing is wrong."""
    command = [binary, "audit", "ledger", "--from", folder, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return []
    try:
        return [f"audit: {finding['fault']}: {finding['detail']}" for finding in json.loads(done.stdout)["findings"]]
    except ValueError:
        return [f"audit ended with {done.returncode}: {done.stderr.strip()}"]


def same_bytes(one, other):
    broken = []
    for name in ("windows", "breaches", "incidents", "escalations", "rejects"):
        if (one / f"{name}.ndjson").read_bytes() != (other / f"{name}.ndjson").read_bytes():
            broken.append(f"{name}.ndjson differs between two runs")
    return broken


# ---------------------------------------------------------------- comparing

def show(line):
    """A line with its instants readable."""
    return json.dumps({k: oracle.instant_text(v) if k in ("window_start", "window_end", "detected_at",
                                                          "last_event_time") and v is not None else v
                       for k, v in line.items()})


def compare(kind, wanted, got):
    if wanted == got:
        return []
    for number, (w, g) in enumerate(zip(wanted + [None] * len(got), got + [None] * len(wanted))):
        if w != g:
            break
    found = [f"{kind}: {len(got)} lines, expected {len(wanted)}; they part at line {number + 1}"]
    for w, g in list(zip(wanted + [None] * len(got), got + [None] * len(wanted)))[number:]:
        if w == g or len(found) > LINES_SHOWN or w is None and g is None:
            break
        if w is not None and g is not None:
            different = [k for k in w if w[k] != g.get(k)]
            found.append("  differ in " + ", ".join(different))
        found.append("  expected " + (show(w) if w else "nothing"))
        found.append("  got      " + (show(g) if g else "nothing"))
    return found


def expectation_of(case):
    model = oracle.Oracle(oracle.Charters(case["documents"]), case["settings"], case["since"], case["until"])
    files = {name: records(lines) for name, lines in case["files"].items()}
    model.run(files)
    return model


def check(binary, case, twice=True):
    """Sentences that tell what is wrong; none where all is well."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_case(case, folder)
        failed = replay(binary, folder, case, "one")
        if failed:
            return [failed]
        model = expectation_of(case)
        windows, breaches, late = actual(folder / "one")
        wrong = compare("windows", model.windows, windows)
        wrong += compare("breaches", model.breaches, breaches)
        for key in sorted(set(model.late) | set(late)):
            if model.late.get(key, 0) != late.get(key, 0):
                wrong.append(f"late {key[:2]} {oracle.instant_text(key[2])}: {late.get(key, 0)}, "
                             f"expected {model.late.get(key, 0)}")
        wrong += laws(folder / "one", model)
        wrong += audited(binary, folder / "one")
        if twice:
            failed = replay(binary, folder, case, "two")
            wrong += [failed] if failed else same_bytes(folder / "one", folder / "two")
        return wrong


def shrink(binary, case):
    """The fewest lines that still show a mismatch, by leaving out ever smaller pieces."""
    runs = 0

    def without(part, candidate):
        nonlocal runs
        runs += 1
        return bool(check(binary, candidate, twice=False))

    for document in list(case["documents"]):
        candidate = {**case, "documents": [d for d in case["documents"] if d is not document]}
        if without(document, candidate):
            case = candidate
    for document in list(case["documents"]):
        for expectation in list(document.get("expectations", [])):
            documents = [
                {**d, "expectations": [e for e in d["expectations"] if e is not expectation]}
                if any(e is expectation for e in d.get("expectations", [])) else d
                for d in case["documents"]]
            documents = [d if d.get("expectations", True) else {"subject": d["subject"]} for d in documents]
            candidate = {**case, "documents": documents}
            if without(expectation, candidate):
                case = candidate
    for name in list(case["files"]):
        candidate = {**case, "files": {n: l for n, l in case["files"].items() if n != name}}
        if candidate["files"] and without(name, candidate):
            case = candidate
    size = max((len(lines) for lines in case["files"].values()), default=0)
    while size and runs < SHRINK_RUNS_MAX:
        for name in list(case["files"]):
            at = 0
            while at < len(case["files"][name]) and runs < SHRINK_RUNS_MAX:
                lines = case["files"][name]
                candidate = {**case, "files": {**case["files"], name: lines[:at] + lines[at + size:]}}
                if without(None, candidate):
                    case = candidate
                else:
                    at += size
        size //= 2
    return case


def report(binary, seed, wrong, smaller):
    print(f"seed {seed}:")
    print("\n".join("  " + line for line in wrong))
    if smaller:
        case = shrink(binary, random_case(seed))
        print("  the fewest events that still differ:")
        settings = {name: oracle.span_text(us) if us else "0s" for name, us in case["settings"].items()}
        print("   ", json.dumps(settings), *(f"{n} {oracle.instant_text(case[k])}" for n, k in
              (("--from", "since"), ("--to", "until")) if case[k] is not None))
        for document in case["documents"]:
            print("   ", json.dumps(document))
        for name, lines in case["files"].items():
            print("\n".join(f"    {name} {line}" for line in lines) or f"    {name} is empty")
        print("\n".join("    " + line for line in check(binary, case)))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the watchkeep binary")
    parser.add_argument("--seeds", default="0..60", help="A..B, B left out")
    parser.add_argument("--jobs", type=int, default=2, help="replays at the same time")
    parser.add_argument("--show", type=int, default=3, help="mismatches shown in full")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for the fewest events")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("..")
    seeds = range(int(first), int(last or int(first) + 1))
    binary = os.path.abspath(options.binary)
    failed = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        checks = pool.map(lambda seed: (seed, check(binary, random_case(seed))), seeds)
        for seed, wrong in checks:
            if wrong:
                failed.append(seed)
                if len(failed) <= options.show:
                    report(binary, seed, wrong, not options.no_shrink)
    print(f"{len(seeds)} seeds, {len(failed)} differ" + (f": {failed[:40]}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
