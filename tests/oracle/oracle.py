"""What a replay ought to write, worked out from the documented formats alone.

Slow and plain on purpose: every event is kept, every window is counted anew
whenever it is written, and nothing is shared with the product's code. Covers
tumbling, hopping and session windows, `deduplicate`, and the expectation kinds
volume, latency (max), null_rate, error_rate, range, silence and slo. All times are
whole microseconds since 1970.
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
    """`documents`: [{subject, expectations?, deduplicate?}], subjects without their type."""

    def __init__(self, documents):
        self.documents = documents

    def expectations(self, feature):
        """None without a charter."""
        chartered, found = self.field(feature, "expectations")
        return (found or []) if chartered else None

    def deduplicate(self, feature):
        """The span, or None."""
        found = self.field(feature, "deduplicate")[1]
        return None if found is None else span(found)

    def field(self, feature, name):
        """Whether there is a charter; of several documents the most specific that has the field."""
        found, best, chartered = None, None, False
        for document in self.documents:
            subject = document["subject"]
            if subject == feature:
                rank = math.inf
            elif "*" in subject and feature.startswith(subject.split("*")[0]):
                rank = len(subject.split("*")[0])
            else:
                continue
            chartered = True
            if name in document and (best is None or rank > best):
                found, best = document[name], rank
        return chartered, found

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


# (factor, long, short) of the Site Reliability Workbook's chapter 5.
BURN_PAIRS = [("14.4", "1h", "5m"), ("6", "6h", "30m"), ("3", "1d", "2h"), ("1", "3d", "6h")]


def bucket(us):
    """The histogram's bucket of a duration: 256 of one microsecond, then 128 an octave."""
    octave = max(us, 0xff).bit_length() - 8
    return octave * 128 + (us >> octave)


def bad_events(good, events):
    """(events that count, bad ones at least, bad ones at most): each condition is counted
    by itself over the events that tell of it."""
    counts = []
    for name, wanted in good.items():
        if name == "status":
            kept = [e["status"] in wanted for e in events]
        else:
            of = [e["latency_us" if name == "latency_below" else "age_us"] for e in events]
            # A duration in the bucket of the bound is not below it; one below zero always is.
            kept = [us < 0 or bucket(us) < bucket(span(wanted)) for us in of if us is not None]
        counts.append((len(kept), kept.count(False)))
    total = max(total for total, _ in counts)
    bads = [bad for _, bad in counts]
    return total, max(bads), min(sum(bads), total)


def objective(expectation, events, end):
    """What an objective comes to at `end` from all events so far; None where no pair has enough."""
    def within(start):
        return bad_events(expectation["good"], [e for e in events if start <= e["time"] < end])

    least, pairs = max(expectation.get("min_samples", 30), 1), []
    budget = 1 - Fraction(str(expectation["objective"]))
    for factor, *spans in BURN_PAIRS:
        counts = [within(end - span(text))[:2] for text in spans]
        enough = all(total >= least for total, _ in counts)
        # A burn rate is the share of bad events over the share that may be bad.
        fired = enough and all(Fraction(bad, total) > Fraction(factor) * budget for total, bad in counts)
        pairs.append((*counts[0], *counts[1], enough, fired))
    if not any(pair[4] for pair in pairs):
        return None
    # The period begins with a whole hour.
    period = within((end - span(expectation.get("period", "28d"))) // UNITS["h"] * UNITS["h"])
    return (*period[:2], period[2] if len(expectation["good"]) > 1 else None, pairs)


def judge(expectation, window):
    """`good`, `bad` or `not_judged`, and whether good by the easier threshold."""
    if window.partial:
        return "not_judged", False
    kind, samples = expectation["kind"], expectation.get("min_samples", 30)
    easier = {**expectation, **expectation.get("resolve", {})}
    if kind == "volume":
        def bad(e):
            return window.count < e.get("below", 0) or window.count > e.get("above", math.inf)
    elif kind == "silence":
        if window.silent_for is None:
            return "not_judged", False

        def bad(e):
            return window.silent_for >= span(e["after"])
    elif kind == "slo":
        told = window.objectives[expectation["name"]]
        if told is None:
            return "not_judged", False

        def bad(_):
            return any(pair[5] for pair in told[3])
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


# ------------------------------------------------------------------- shapes

class Shape:
    """Which windows there are: on a grid of `size` every `hop`, or sessions by `gap`."""

    def __init__(self, spec):
        if isinstance(spec, str):
            spec = {"kind": "tumbling", "size": spec}
        self.gap = span(spec["gap"]) if spec["kind"] == "session" else None
        self.size = self.gap or span(spec["size"])
        self.hop = span(spec["hop"]) if spec["kind"] == "hopping" else self.size
        size = span_text(self.size)
        self.name = {"tumbling": size, "hopping": f"{size}/{span_text(self.hop)}",
                     "session": f"session {size}"}[spec["kind"]]
        kind = ["tumbling", "hopping", "session"].index(spec["kind"])
        self.rank = (kind, self.hop)

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def starts(self, time):
        """The starts of all windows that hold the instant."""
        last = window_start(time, self.hop)
        found = []
        while last + self.size > time:
            found.append(last)
            last -= self.hop
        return found[::-1]


# ------------------------------------------------------------------ windows

class Window:
    """One version's window: the events it took and what was written of it."""

    def __init__(self, feature, version, shape, start):
        self.feature, self.version, self.shape, self.start = feature, version, shape, start
        self.end = self.closes = start + shape.size
        self.events, self.late_count, self.revision, self.partial = [], 0, None, False
        self.due = None
        self.replaces = []

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


class Session(Window):
    """A session as it is now, and what was written of it and of its parts."""

    def __init__(self, feature, version, shape, events, closed, was_closed):
        super().__init__(feature, version, shape, min(e["time"] for e in events))
        self.events, self.closed, self.was_closed = events, closed, was_closed
        self.end = max(e["time"] for e in events)
        self.closes = self.end + shape.gap
        self.told = {}          # start -> (end, revision)


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
        self.events = self.rejected = self.duplicates = 0
        self.taken = {}                 # feature -> events that were no repeats
        self.kept, self.open = {}, {}
        self.sessions = {}              # (feature, version, shape) -> sessions that take events
        self.settled_to = {}            # the same -> last event of those that take none
        self.identified = {}            # (feature, event_id) -> times of kept events
        self.first_time = None          # the stream's first event
        self.from_of = {}               # (feature, shape) -> start of its own first window
        self.times = {}                 # feature -> times of its events
        self.latest = {}                # feature -> (time, version) of the latest event
        self.watermark = None
        self.last_time = None
        self.alarms = {}
        self.counted = {}               # (feature, version, shape) -> events for objectives

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
        """{shape: [expectations]} of a feature."""
        expectations = self.charters.expectations(feature)
        if expectations is None:
            return {Shape("1h"): []}
        shapes = {}
        for expectation in expectations:
            shapes.setdefault(Shape(expectation["window"]), []).append(expectation)
        return shapes

    def take(self, event):
        self.events += 1
        feature, time = event["feature"], event["time"]
        self.last_time = time if self.last_time is None else max(self.last_time, time)
        if self.is_repeat(event):
            self.duplicates += 1
            return
        self.taken[feature] = self.taken.get(feature, []) + [time]
        self.times.setdefault(feature, []).append(time)
        # Of two versions at one instant the greater.
        self.latest[feature] = max(self.latest.get(feature, (time, "")), (time, event["version"]))
        for shape in self.shapes(feature):
            if shape.gap is not None:
                self.take_into_sessions(event, shape)
                continue
            # Windows without events: from the earliest event on, from the present
            # window where that event came late.
            first = shape.starts(time if self.watermark is None else max(time, self.watermark))[0]
            self.from_of[feature, shape] = min(self.from_of.get((feature, shape), math.inf), first)
            if not self.passed(shape.starts(time)[-1] + shape.size + self.settings["allowed_lateness"]):
                self.counted.setdefault((feature, event["version"], shape), []).append(event)
            for start in shape.starts(time):
                self.take_into_window(event, shape, start)

    def take_into_window(self, event, shape, start):
        end = start + shape.size
        if self.passed(end + self.settings["allowed_lateness"]):
            self.too_late(event, shape, start)
            return
        key = (event["feature"], event["version"], shape, start)
        window = self.kept.get(key)
        if window is None:
            window = self.kept[key] = Window(*key)
        window.events.append(event)
        if self.passed(end):
            window.late_count += 1
            window.due = self.revision_due(end)

    def take_into_sessions(self, event, shape):
        time, gap = event["time"], shape.gap
        key = (event["feature"], event["version"], shape)
        sessions = self.sessions.setdefault(key, [])
        parts = [s for s in sessions if s.start - gap <= time <= s.end + gap]
        alone = not parts and self.passed(time + gap + self.settings["allowed_lateness"])
        if alone or time <= self.settled_to.get(key, -math.inf):
            # A session has no start before it is one: it goes by the pane.
            self.too_late(event, shape, time // self.settings["pane"] * self.settings["pane"])
            return
        was_closed = any(s.was_closed for s in parts) or not parts and self.passed(time + gap)
        events = [e for s in parts for e in s.events] + [event]
        joined = Session(*key, events, False, was_closed)
        joined.late_count = sum(s.late_count for s in parts) + was_closed
        for part in parts:
            sessions.remove(part)
            joined.told.update(part.told)
        joined.closed = self.passed(joined.closes)
        if joined.closed:
            joined.due = self.revision_due(joined.closes)
        sessions.append(joined)

    def is_repeat(self, event):
        spans = self.charters.deduplicate(event["feature"])
        if spans is None or event["id"] is None:
            return False
        kept = self.identified.setdefault((event["feature"], event["id"]), [])
        if any(abs(event["time"] - at) <= spans for at in kept):
            return True
        kept.append(event["time"])
        return False

    def settle(self, now):
        """Windows and sessions take their last event; names that no repeat in time could
        carry are forgotten with them."""
        lateness, features = self.settings["allowed_lateness"], set()
        for window in self.kept.values():
            if window.end + lateness == now:
                features.add(window.feature)
        for key, sessions in self.sessions.items():
            for session in [s for s in sessions if s.closes + lateness == now]:
                sessions.remove(session)
                self.settled_to[key] = max(self.settled_to.get(key, session.end), session.end)
                features.add(key[0])
        for feature in features:
            spans, earliest = self.charters.deduplicate(feature), self.earliest(feature, now)
            for (of, _), kept in self.identified.items():
                if of == feature:
                    kept[:] = [at for at in kept if at + spans >= earliest]

    def earliest(self, feature, now):
        """No event of the feature before this can be taken by a window any more."""
        settled, found = now - self.settings["allowed_lateness"], []
        for shape in self.shapes(feature):
            if shape.gap is None:
                found.append(shape.starts(settled)[0])
            else:
                firsts = [s.start for (f, _, of), sessions in self.sessions.items()
                          if f == feature and of == shape for s in sessions]
                found.append(min(firsts + [settled]) - shape.gap)
        return min(found, default=-math.inf)

    def passed(self, time):
        return self.watermark is not None and self.watermark >= time

    def revision_due(self, end):
        every = self.settings["revise_every"]
        return min((self.watermark // every + 1) * every, end + self.settings["allowed_lateness"])

    def too_late(self, event, shape, start):
        key = (event["feature"], shape.name, start)
        self.late[key] = self.late.get(key, 0) + 1

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
        """[(feature, shape)] that have windows without events."""
        named = {(f, shape) for f in self.charters.exact() for shape in self.shapes(f)
                 if shape.gap is None}
        patterned = {key for key in self.from_of if self.charters.expectations(key[0]) is not None}
        return sorted(named | patterned, key=lambda key: (key[0], key[1].name))

    def next_silent(self, feature, shape):
        """The start of the first window after those already closed."""
        if feature in self.charters.exact():
            start = shape.starts(self.first_time)[0]
        else:
            start = self.from_of[feature, shape]
        return max(start, self.open.get((feature, shape), start))

    def all_sessions(self):
        return [s for sessions in self.sessions.values() for s in sessions]

    def next_due(self):
        dues = [w.end for w in self.kept.values() if w.revision is None and w.due is None]
        dues += [s.closes for s in self.all_sessions() if not s.closed]
        dues += [w.due for w in [*self.kept.values(), *self.all_sessions()] if w.due is not None]
        lateness = self.settings["allowed_lateness"]
        dues += [s.closes + lateness for s in self.all_sessions() if s.closed]
        if self.identified:
            dues += [w.end + lateness for w in self.kept.values() if not self.passed(w.end + lateness)]
        if self.first_time is not None:
            dues += [self.next_silent(feature, shape) + shape.size
                     for feature, shape in self.silent_shapes()]
        return min(dues, default=None)

    def decide(self, now):
        closing = [w for w in self.kept.values() if w.revision is None and w.due is None and w.end == now]
        for feature, shape in self.silent_shapes():
            start = self.next_silent(feature, shape)
            if start + shape.size != now:
                continue
            self.open[feature, shape] = start + shape.hop
            if not any(w.feature == feature and w.shape == shape for w in closing):
                closing.append(self.silent_window(feature, shape, start))
        for session in self.all_sessions():
            if not session.closed and session.closes == now:
                session.closed = session.was_closed = True
                closing.append(session)
        revised = [w for w in [*self.kept.values(), *self.all_sessions()] if w.due == now]
        for window in sorted(closing + revised, key=self.order):
            self.write(window, now)
        self.settle(now)

    def silent_window(self, feature, shape, start):
        version = self.latest[feature][1] if feature in self.latest else ""
        key = (feature, version, shape, start)
        window = self.kept[key] = Window(*key)
        return window

    @staticmethod
    def order(window):
        return (window.closes, window.shape.size, window.feature, window.shape.rank, window.version,
                window.start)

    def finish(self):
        if self.last_time is None:
            return
        pane = self.settings["pane"]
        end = self.until if self.until is not None else (self.last_time // pane + 1) * pane
        self.advance(end)
        gathering = [w for w in [*self.kept.values(), *self.all_sessions()] if w.due is not None]
        for window in sorted(gathering, key=lambda w: (w.due, *self.order(w))):
            self.write(window, end)
        rest = [w for w in self.kept.values() if w.revision is None]
        rest += [s for s in self.all_sessions() if not s.closed]
        for feature, shape in self.silent_shapes():
            start = self.next_silent(feature, shape)
            while start < end:
                if not any(w.feature == feature and w.shape == shape and w.start == start for w in rest):
                    rest.append(self.silent_window(feature, shape, start))
                start += shape.hop
        for window in sorted(rest, key=self.order):
            window.partial = True
            self.write(window, end)

    # -- writing

    def silent_for(self, feature, end):
        """How long before `end` the feature was last heard of; None where it never was."""
        times = [time for time in self.times.get(feature, []) if time < end]
        if not times and feature in self.charters.exact():
            times = [self.first_time]
        return end - max(times) if times else None

    def write(self, window, now):
        withdrawn = []
        if isinstance(window, Session):
            if not self.shapes(window.feature):
                return
            window.revision = max((revision + 1 for _, revision in window.told.values()), default=0)
            withdrawn = sorted((start, *told) for start, told in window.told.items() if start != window.start)
            window.told = {window.start: (window.end, window.revision)}
            window.replaces = [start for start, _, _ in withdrawn]
        else:
            window.revision = 0 if window.revision is None else window.revision + 1
        window.due = None
        window.measure()
        window.silent_for = self.silent_for(window.feature, window.end)
        counted = self.counted.get((window.feature, window.version, window.shape), [])
        expectations = self.shapes(window.feature).get(window.shape, [])
        window.objectives = {e["name"]: None if window.partial else objective(e, counted, window.end)
                             for e in expectations if e["kind"] == "slo"}
        judged = []
        for expectation in expectations:
            verdict, easy = judge(expectation, window)
            judged.append((expectation["name"], verdict, window.objectives.get(expectation["name"])))
            if window.partial:
                continue
            # A silence is that of all versions.
            version = None if expectation["kind"] == "silence" else window.version
            key = (window.feature, version, expectation["name"])
            alarm = self.alarms.setdefault(key, Alarm(expectation))
            for transition, of in alarm.judged(window, verdict, easy):
                self.breaches.append({
                    "transition": transition, "feature": window.feature, "feature_version": of[3],
                    "expectation": expectation["name"], "kind": expectation["kind"],
                    "severity": expectation.get("severity", "error"), "window": window.shape.name,
                    "window_start": of[0], "revision": of[1], "detected_at": now,
                    "breach": of[2],
                })
        line = {
            "feature": window.feature, "feature_version": window.version, "window": window.shape.name,
            "window_start": window.start, "window_end": window.end, "revision": window.revision,
            "partial": window.partial, "count": window.count, "null_count": window.null_count,
            "error_count": window.error_count, "status": window.status, "late_count": window.late_count,
            "min": min(window.numbers, default=None), "max": max(window.numbers, default=None),
            "latency_max": max(window.latencies, default=None),
            "last_event_time": max((e["time"] for e in window.events), default=None),
            "judged": judged,
        }
        self.windows.append(line)
        for start, end, revision in withdrawn:
            self.windows.append({
                **line, "window_start": start, "window_end": end, "revision": revision + 1,
                "partial": False, "count": 0, "null_count": 0, "error_count": 0, "status": {},
                "late_count": 0, "min": None, "max": None, "latency_max": None,
                "last_event_time": None, "judged": [(name, "not_judged", None) for name, _, _ in judged],
            })


# ------------------------------------------------------------------- alarms

class Alarm:
    """Which breaches one expectation of one version ought to have announced."""

    def __init__(self, expectation):
        self.k = expectation.get("for", {}).get("k", 1)
        self.of = expectation.get("for", {}).get("of", 1)
        self.resolve_after = expectation.get("resolve_after", 1)
        self.verdicts = {}      # window start -> (verdict, easy)
        self.revisions = {}     # window start -> its last revision
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
        """[(transition, (window start, revision, number of the breach, its version))] that a judgement causes."""
        before = self.verdicts.get(window.start)
        gone = [self.verdicts.pop(start) for start in window.replaces if start in self.verdicts]
        self.verdicts[window.start] = (verdict, easy)
        self.revisions[window.start] = window.revision
        if before == (verdict, easy) and not gone:
            return []
        lines, intervals = [], self.intervals()

        def say(transition, one, at=None):
            # The window at which it happened, which a revision of another one may show.
            start = window.start if at is None else at
            lines.append((transition, (start, self.revisions[start], one["id"], one["version"])))

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
                say("cleared", one, one["to"])
        for bad, cleared in intervals:
            heard = [one for one in self.announced if meets(one, (bad, cleared))]
            if not heard:
                begin = bad[0]
            elif cleared is None and verdict == "bad" and all(one["to"] is not None for one in heard):
                # It was said to be over and goes on: another breach, from this window on.
                begin = window.start
            else:
                continue
            one = {"id": self.opened_so_far, "version": window.version, "from": begin, "to": cleared}
            self.opened_so_far += 1
            self.announced.append(one)
            say("opened", one, begin)
            if cleared is not None:
                say("cleared", one, cleared)
        # Further bad windows of an open breach.
        was_bad = any(one[0] == "bad" for one in [*gone, *([before] if before else [])])
        if not lines and verdict == "bad" and not was_bad:
            for one in self.announced:
                if one["to"] is None and window.start > one["from"]:
                    say("sustained", one)
        return lines
