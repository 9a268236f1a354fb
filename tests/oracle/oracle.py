"""What a replay ought to write, worked out from the documented formats alone.

Slow and plain on purpose: every event is kept, every window is counted anew
whenever it is written, and nothing is shared with the product's code. Covers
tumbling windows and the expectation kinds volume, latency (max), null_rate,
error_rate and range. All times are whole microseconds since 1970.
"""

import datetime
import math
from fractions import Fraction

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000,
         "d": 86_400_000_000, "w": 604_800_000_000}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# Weeks are counted from the Monday after 1970-01-01.
FIRST_MONDAY = 4 * UNITS["d"]


def span(text):
    """`10m` in microseconds."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) * UNITS[text[len(digits):]]


def span_text(us):
    """The shortest way to write a span: 60 s are `1m`."""
    for unit in ("w", "d", "h", "m", "s", "ms"):
        if us % UNITS[unit] == 0:
            return f"{us // UNITS[unit]}{unit}"
    return f"{us}us"


def instant(text):
    """An RFC 3339 instant in UTC, to the microsecond."""
    if "T" not in text:
        text += "T00:00:00Z"
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) + int((fraction + "000000")[:6])


def instant_text(us):
    """For people who read a difference."""
    return (EPOCH + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def window_start(time, size):
    """Windows are counted from 1970, whole weeks from its first Monday."""
    first = FIRST_MONDAY if size % UNITS["w"] == 0 else 0
    return (time - first) // size * size + first


# ---------------------------------------------------------------- charters

class Charters:
    """`documents`: [{subject, expectations?}], subjects without their type."""

    def __init__(self, documents):
        self.documents = documents

    def expectations(self, feature):
        """None without a charter; of several documents the most specific that has the field."""
        found, best, chartered = [], None, False
        for document in self.documents:
            subject = document["subject"]
            if subject == feature:
                rank = math.inf
            elif "*" in subject and feature.startswith(subject.split("*")[0]):
                rank = len(subject.split("*")[0])
            else:
                continue
            chartered = True
            if "expectations" in document and (best is None or rank > best):
                found, best = document["expectations"], rank
        return found if chartered else None

    def exact(self):
        return sorted({d["subject"] for d in self.documents if "*" not in d["subject"]})


# ------------------------------------------------------------------ judging

def tail_at_least(k, n, p):
    """P(at least k of n) where each has the chance p, without rounding."""
    p = Fraction(p)
    return sum(Fraction(math.comb(n, i)) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def share_is_above(k, n, above, confidence):
    """Whether the one-sided Clopper-Pearson lower bound of k of n is above the bound:
    exactly where k or more would have been a rarer sight than 1 - confidence at it."""
    if k == 0:
        return False
    return tail_at_least(k, n, Fraction(str(above))) < 1 - Fraction(str(confidence))


def judge(expectation, window):
    """`good`, `bad` or `not_judged`, and whether good by the easier threshold."""
    if window.partial:
        return "not_judged", False
    kind, samples = expectation["kind"], expectation.get("min_samples", 30)
    easier = {**expectation, **expectation.get("resolve", {})}
    if kind == "volume":
        def bad(e):
            return window.count < e.get("below", 0) or window.count > e.get("above", math.inf)
    elif kind == "latency":
        if not window.latencies or len(window.latencies) < samples:
            return "not_judged", False

        def bad(e):
            return max(window.latencies) > span(e["above"])
    elif kind in ("null_rate", "error_rate"):
        # Of all events, errors too.
        n = window.count
        k = window.error_count if kind == "error_rate" else window.null_count
        if n == 0 or n < samples:
            return "not_judged", False

        def bad(e):
            return share_is_above(k, n, e["above"], e.get("confidence", 0.99))
    elif kind == "range":
        numbers = window.numbers
        if not numbers or len(numbers) < samples:
            return "not_judged", False

        def bad(e):
            low, high = e.get("min", -math.inf), e.get("max", math.inf)
            outside = sum(1 for number in numbers if not low <= number <= high)
            return Fraction(outside, len(numbers)) > Fraction(str(e.get("above", 0)))
    else:
        raise ValueError(f"the oracle does not know {kind}")
    return ("bad" if bad(expectation) else "good"), not bad(easier)


# ------------------------------------------------------------------ windows

class Window:
    """One version's window: the events it took and what was written of it."""

    def __init__(self, feature, version, size, start):
        self.feature, self.version, self.size, self.start = feature, version, size, start
        self.end = start + size
        self.events, self.late_count, self.revision, self.partial = [], 0, None, False
        self.due = None

    def measure(self):
        events = self.events
        self.count = len(events)
        self.status = {}
        for e in events:
            self.status[e["status"]] = self.status.get(e["status"], 0) + 1
        self.error_count = self.status.get("error", 0) + self.status.get("timeout", 0)
        answers = [e for e in events if e["status"] not in ("error", "timeout")]
        self.null_count = sum(1 for e in answers if e["value"] is None and e["status"] == "ok"
                              or e["status"] == "null")
        # An answer of status null has no value, whatever stands beside it.
        self.numbers = [e["value"] for e in answers if e["status"] != "null" and is_number(e["value"])]
        self.latencies = [e["latency_us"] for e in events if e["latency_us"] is not None]


class Reject:
    """A record that is no telemetry (no time), or one too far ahead of its broker's time."""

    def __init__(self, time=None):
        self.time = time


class Oracle:
    """`settings`: pane, out_of_orderness, allowed_lateness, revise_every, max_future in
    microseconds; `since` and `until` for --from and --to."""

    def __init__(self, charters, settings, since=None, until=None):
        self.charters, self.settings = charters, settings
        self.since, self.until = since, until
        self.windows, self.breaches, self.late = [], [], {}
        self.events = self.rejected = 0
        self.kept, self.open = {}, {}
        self.first_time = None          # the stream's first event
        self.from_of = {}               # (feature, size) -> start of its own first window
        self.latest = {}                # feature -> (time, version) of the latest event
        self.watermark = None
        self.last_time = None
        self.alarms = {}

    # -- reading

    def run(self, files):
        """`files`: {name: [record, …]}; a record is a list of events or a `Reject`."""
        places = {name: 0 for name in files}
        marks = {name: None for name in files}
        running = sorted(files)
        self.firsts = {}
        while running:
            name = min(running, key=lambda n: (-math.inf if marks[n] is None else marks[n], n))
            if places[name] == len(files[name]):
                # Found at its end in its turn; from now on it holds nothing back.
                running.remove(name)
            else:
                record = files[name][places[name]]
                places[name] += 1
                if isinstance(record, Reject):
                    # What lies outside --from and --to is left out before it is found wrong.
                    if record.time is None or self.included({"time": record.time}):
                        self.rejected += 1
                else:
                    for event in record:
                        if not self.included(event):
                            continue
                        self.firsts.setdefault(name, event["time"])
                        self.take(event)
                        mark = event["time"] - self.settings["out_of_orderness"]
                        marks[name] = mark if marks[name] is None else max(marks[name], mark)
            holding = [marks[n] for n in running]
            if holding and None not in holding:
                self.advance(min(holding))
        told = [mark for mark in marks.values() if mark is not None]
        if told:
            self.advance(max(told))
        self.finish()

    def included(self, event):
        return not (self.since is not None and event["time"] < self.since
                    or self.until is not None and event["time"] >= self.until)

    def shapes(self, feature):
        """{size: [expectations]} of a feature."""
        expectations = self.charters.expectations(feature)
        if expectations is None:
            return {UNITS["h"]: []}
        shapes = {}
        for expectation in expectations:
            shapes.setdefault(span(expectation["window"]), []).append(expectation)
        return shapes

    def take(self, event):
        self.events += 1
        feature, time = event["feature"], event["time"]
        # Of two versions at one instant the greater.
        self.latest[feature] = max(self.latest.get(feature, (time, "")), (time, event["version"]))
        self.last_time = time if self.last_time is None else max(self.last_time, time)
        for size in self.shapes(feature):
            start = window_start(time, size)
            end = start + size
            # Windows without events: from the earliest event on, from the present
            # window where that event came late.
            present = start if self.watermark is None else window_start(self.watermark, size)
            self.from_of[feature, size] = min(self.from_of.get((feature, size), math.inf), max(start, present))
            if self.watermark is not None and self.watermark >= end + self.settings["allowed_lateness"]:
                key = (feature, span_text(size), start)
                self.late[key] = self.late.get(key, 0) + 1
                continue
            key = (feature, event["version"], size, start)
            window = self.kept.get(key)
            if window is None:
                window = self.kept[key] = Window(feature, event["version"], size, start)
            window.events.append(event)
            if self.watermark is not None and self.watermark >= end:
                window.late_count += 1
                every = self.settings["revise_every"]
                window.due = min((self.watermark // every + 1) * every,
                                 end + self.settings["allowed_lateness"])

    # -- time

    def advance(self, to):
        """Decides, instant by instant, all that falls due up to `to`."""
        if self.watermark is not None and to <= self.watermark:
            return
        if self.first_time is None:
            # The earliest of the files' first events: no window closes before all have one.
            self.first_time = min(self.firsts.values())
        while True:
            due = self.next_due()
            if due is None or due > to:
                break
            self.decide(due)
            self.watermark = due
        self.watermark = to

    def silent_shapes(self):
        """[(feature, size)] that have windows without events."""
        named = {(f, size) for f in self.charters.exact() for size in self.shapes(f)}
        patterned = {key for key in self.from_of if self.charters.expectations(key[0]) is not None}
        return sorted(named | patterned)

    def next_silent(self, feature, size):
        """The start of the first window after those already closed."""
        if feature in self.charters.exact():
            start = window_start(self.first_time, size)
        else:
            start = self.from_of[feature, size]
        return max(start, self.open.get((feature, size), start))

    def next_due(self):
        dues = [w.end for w in self.kept.values() if w.revision is None and w.due is None]
        dues += [w.due for w in self.kept.values() if w.due is not None]
        if self.first_time is not None:
            dues += [self.next_silent(feature, size) + size for feature, size in self.silent_shapes()]
        return min(dues, default=None)

    def decide(self, now):
        closing = [w for w in self.kept.values() if w.revision is None and w.due is None and w.end == now]
        for feature, size in self.silent_shapes():
            start = self.next_silent(feature, size)
            if start + size != now:
                continue
            self.open[feature, size] = now
            if not any(w.feature == feature and w.size == size for w in closing):
                closing.append(self.silent_window(feature, size, start))
        revised = [w for w in self.kept.values() if w.due == now]
        for window in sorted(closing + revised, key=self.order):
            self.write(window, now)

    def silent_window(self, feature, size, start):
        version = self.latest[feature][1] if feature in self.latest else ""
        key = (feature, version, size, start)
        window = self.kept[key] = Window(*key)
        return window

    @staticmethod
    def order(window):
        return (window.end, window.size, window.feature, window.version)

    def finish(self):
        if self.last_time is None:
            return
        pane = self.settings["pane"]
        end = self.until if self.until is not None else (self.last_time // pane + 1) * pane
        self.advance(end)
        gathering = [w for w in self.kept.values() if w.due is not None]
        for window in sorted(gathering, key=lambda w: (w.due, *self.order(w))):
            self.write(window, end)
        rest = [w for w in self.kept.values() if w.revision is None]
        for feature, size in self.silent_shapes():
            start = self.next_silent(feature, size)
            if start < end and not any(w.feature == feature and w.size == size and w.start == start
                                       for w in rest):
                rest.append(self.silent_window(feature, size, start))
        for window in sorted(rest, key=self.order):
            window.partial = True
            self.write(window, end)

    # -- writing

    def write(self, window, now):
        window.revision = 0 if window.revision is None else window.revision + 1
        window.due = None
        window.measure()
        judged = []
        for expectation in self.shapes(window.feature).get(window.size, []):
            verdict, easy = judge(expectation, window)
            judged.append((expectation["name"], verdict))
            if window.partial:
                continue
            key = (window.feature, window.version, expectation["name"])
            alarm = self.alarms.setdefault(key, Alarm(expectation))
            for transition, of in alarm.judged(window, verdict, easy):
                self.breaches.append({
                    "transition": transition, "feature": window.feature, "feature_version": window.version,
                    "expectation": expectation["name"], "kind": expectation["kind"],
                    "severity": expectation.get("severity", "error"), "window": span_text(window.size),
                    "window_start": of[0], "revision": of[1], "detected_at": now,
                    "breach": of[2],
                })
        line = {
            "feature": window.feature, "feature_version": window.version, "window": span_text(window.size),
            "window_start": window.start, "window_end": window.end, "revision": window.revision,
            "partial": window.partial, "count": window.count, "null_count": window.null_count,
            "error_count": window.error_count, "status": window.status, "late_count": window.late_count,
            "min": min(window.numbers, default=None), "max": max(window.numbers, default=None),
            "latency_max": max(window.latencies, default=None),
            "last_event_time": max((e["time"] for e in window.events), default=None),
            "judged": judged,
        }
        self.windows.append(line)


# ------------------------------------------------------------------- alarms

class Alarm:
    """Which breaches one expectation of one version ought to have announced."""

    def __init__(self, expectation):
        self.k = expectation.get("for", {}).get("k", 1)
        self.of = expectation.get("for", {}).get("of", 1)
        self.resolve_after = expectation.get("resolve_after", 1)
        self.verdicts = {}      # window start -> (verdict, easy)
        self.announced = []     # [{opened, bad: set of starts, cleared}]
        self.opened_so_far = 0

    def intervals(self):
        """[(starts of bad windows from the opening on, start of the clearing window or None)]."""
        found, recent, bad, good = [], [], None, 0
        for start in sorted(self.verdicts):
            verdict, easy = self.verdicts[start]
            if verdict == "not_judged":
                continue
            recent = (recent + [verdict == "bad"])[-self.of:]
            if bad is None:
                if verdict == "bad" and sum(recent) >= self.k:
                    bad, good = [start], 0
            elif verdict == "bad":
                bad.append(start)
                good = 0
            elif easy:
                good += 1
                if good >= self.resolve_after:
                    found.append((bad, start))
                    bad = None
            else:
                good = 0
        if bad is not None:
            found.append((bad, None))
        return found

    def judged(self, window, verdict, easy):
        """[(transition, (window start, revision, number of the breach))] that a judgement causes."""
        before = self.verdicts.get(window.start)
        self.verdicts[window.start] = (verdict, easy)
        if before == (verdict, easy):
            return []
        lines, intervals = [], self.intervals()

        def say(transition, one):
            lines.append((transition, (window.start, window.revision, one["id"])))

        def meets(one, interval):
            bad, cleared = interval
            return ((one["to"] is None or bad[0] < one["to"])
                    and (cleared is None or one["from"] < cleared))

        for one in sorted(self.announced, key=lambda one: one["from"]):
            mine = [interval for interval in intervals if meets(one, interval)]
            if not mine:
                self.announced.remove(one)
                say("retracted", one)
            elif one["to"] is None and mine[0][1] is not None:
                one["to"] = mine[0][1]
                say("cleared", one)
        for bad, cleared in intervals:
            heard = [one for one in self.announced if meets(one, (bad, cleared))]
            if not heard:
                begin = bad[0]
            elif cleared is None and verdict == "bad" and all(one["to"] is not None for one in heard):
                # It was said to be over and goes on: another breach, from this window on.
                begin = window.start
            else:
                continue
            one = {"id": self.opened_so_far, "from": begin, "to": cleared}
            self.opened_so_far += 1
            self.announced.append(one)
            say("opened", one)
            if cleared is not None:
                say("cleared", one)
        # Further bad windows of an open breach.
        if not lines and verdict == "bad" and (before is None or before[0] != "bad"):
            for one in self.announced:
                if one["to"] is None and window.start > one["from"]:
                    say("sustained", one)
        return lines
