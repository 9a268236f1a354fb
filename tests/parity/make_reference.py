"""Writes reference values of the drift statistics as computed by scipy.

One case a line: a name, its arguments, the expected values; fields are
separated by tabs and the numbers of a list by spaces. Floats are written as
the shortest text that reads back the same. The seed is fixed, so every run
writes the same cases.

Usage: make_reference.py FILE [FLIGHTS]

FLIGHTS is telemetry as NDJSON (.gz): its numbers and categories, week by week
against the first four weeks, are cases too.
"""

import gzip
import itertools
import json
import sys
import warnings
from collections import Counter, defaultdict

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

SEED = 20260301
rng = np.random.default_rng(SEED)


def text(value):
    if isinstance(value, (list, tuple, np.ndarray)):
        return " ".join(text(v) for v in value)
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return repr(float(value))


def sample(size):
    """A sample of a random family: smooth, skewed, heavy-tailed or full of ties."""
    family = rng.integers(0, 7)
    shift, scale = rng.normal(0, 0.3), float(np.exp(rng.normal(0, 0.2)))
    if family == 0:
        return rng.normal(shift, scale, size)
    if family == 1:
        return rng.exponential(scale, size) + shift
    if family == 2:
        return rng.standard_t(2, size) * scale
    if family == 3:
        return rng.integers(0, rng.integers(1, 40) + 1, size).astype(float)
    if family == 4:
        return np.round(rng.normal(shift, scale, size), 1)
    if family == 5:
        return np.full(size, round(shift, 2))
    return rng.uniform(shift, shift + scale, size)


def size(largest):
    return int(np.exp(rng.uniform(0, np.log(largest + 0.99))))


def pair_case(n, m):
    a, b = np.sort(sample(n)), np.sort(sample(m))
    result = stats.ks_2samp(a, b, method="asymp", alternative="two-sided")
    # scipy has no p-value for two samples of one value each; ours is 1.
    p = 1.0 if n == m == 1 else result.pvalue
    q = float(rng.choice([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0, rng.uniform()]))
    yield "pair", a, b, q, (
        result.statistic,
        p,
        stats.wasserstein_distance(a, b),
        np.mean(a),
        np.std(a),
        np.quantile(a, q),
    )


def counts_case(bins, n, m):
    shares = rng.dirichlet(np.full(bins, rng.choice([0.3, 1.0, 10.0])))
    other = shares if rng.random() < 0.3 else rng.dirichlet(np.full(bins, 3.0))
    current, reference = rng.multinomial(n, shares), rng.multinomial(m, other)
    used = (current + reference) > 0
    table = np.array([current[used], reference[used]])
    chi2 = stats.chi2_contingency(table, correction=False)
    p, q = current / n, reference / m
    pe, qe = np.where(p > 0, p, 1e-4), np.where(q > 0, q, 1e-4)
    values = np.sort(rng.normal(0, 10, bins))
    both = np.sum(current * values) / n
    yield "counts", current, reference, values, (
        chi2.statistic,
        chi2.dof,
        chi2.pvalue,
        np.sum((pe - qe) * np.log(pe / qe)),
        jensenshannon(p, q, base=2),
        np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2),
        np.max(np.abs(np.cumsum(p) - np.cumsum(q))),
        stats.wasserstein_distance(values, values, current, reference),
        np.sqrt(np.sum(current * (values - both) ** 2) / n),
    )


def ks_p_cases():
    """The plane of sizes and distances, all regimes and both sides of their bounds."""
    def case(d, n, m):
        # What ks_2samp(method="asymp") does with its statistic.
        effective = np.round(float(max(n, m)) * float(min(n, m)) / float(n + m))
        return "ks_p", d, n, m, (stats.kstwo.sf(d, effective),)

    for _ in range(400):
        n, m = size(100_000), size(100_000)
        effective = np.round(n * m / (n + m))
        if effective < 1:
            continue
        # n·d² from deep in the body to a p-value of about 1e-250.
        ndd = float(np.exp(rng.uniform(np.log(0.01), np.log(288))))
        yield case(min(np.sqrt(ndd / effective), 1.0), n, m)
    for _ in range(300):
        # Small samples have the most formulas, and the whole range of d.
        n, m = size(400), size(400)
        if np.round(n * m / (n + m)) >= 1:
            yield case(rng.uniform(), n, m)
    for effective in (1, 2, 3, 5, 10, 50, 139, 140, 141, 142, 300, 500, 501, 502, 1000, 5000, 50_000):
        bounds = [0.5, 0.5 / effective, 1 / effective, 1 - 1 / effective, (1.4 / effective) ** (2 / 3)]
        bounds += [np.sqrt(c / effective) for c in (0.754693, 2.2, 4.0, 18.0, 280.0)]
        for bound in bounds:
            for d in (bound * (1 - 1e-7), bound, bound * (1 + 1e-7)):
                # Twice the size on both sides gives exactly that effective size.
                if 0 < d <= 1:
                    yield case(d, 2 * effective, 2 * effective)
    # scipy's one-sided tail takes sizes as 32-bit integers and is NaN, which ends
    # as a p-value of 1, from 2^31 on; the last size stays just below.
    for n in (10**6, 2 * 10**6 + 2, 10**9, 2 * (2**31 - 1)):
        for ndd in (0.02, 0.5, 1.0, 2.1, 2.3, 10.0, 100.0, 280.0, 371.0):
            if n == 10**6 and ndd > 2.2 and ndd not in (2.3, 100.0):
                continue  # scipy sums half a million terms for each of these
            yield case(np.sqrt(2 * ndd / n), n, n)


def chi2_p_cases():
    """Two bins each, or many, far into the tail."""
    for _ in range(150):
        bins = int(rng.choice([2, 3, 4, 10, 30, 100, 1000]))
        base = rng.integers(50, 2000, bins)
        drift = 1 + rng.uniform(0, 0.6) * rng.uniform(-1, 1, bins)
        current = np.maximum(1, (base * drift)).astype(int)
        chi2 = stats.chi2_contingency(np.array([current, base]), correction=False)
        if chi2.pvalue > 1e-250:
            yield "chi2", current, base, (chi2.statistic, chi2.dof, chi2.pvalue)


def bound_cases():
    for _ in range(400):
        trials = size(2_000_000)
        successes = int(rng.integers(0, trials + 1)) if rng.random() < 0.5 else size(trials)
        confidence = float(rng.choice([0.5, 0.9, 0.95, 0.99, 0.999, 0.999999, 0.2, rng.uniform()]))
        yield bound(successes, trials, confidence)
    for trials in (1, 2, 3, 30, 10**4, 10**8):
        for successes in (0, 1, 2, trials // 2, trials - 1, trials):
            if 0 <= successes <= trials:
                yield bound(successes, trials, 0.99)


def bound(k, n, confidence):
    value = stats.beta.ppf(1 - confidence, k, n - k + 1) if k > 0 else 0.0
    return "bound", k, n, confidence, (value,)


def whole_case(a, b):
    """Two samples of numbers as a whole comparison sees them, more than are kept raw."""
    a, b = np.sort(a), np.sort(b)
    result = stats.ks_2samp(a, b, method="asymp", alternative="two-sided")
    yield "whole", a, b, (
        result.statistic,
        result.pvalue,
        stats.wasserstein_distance(a, b),
        np.std(b),
    )


def other_bin(name):
    """FNV-1a of 64 bits, salted, through MurmurHash3's finaliser, modulo 64."""
    mask = 2**64 - 1
    bits = 0xCBF29CE484222325
    for byte in name.encode():
        bits = ((bits ^ byte) * 0x100000001B3) & mask
    bits ^= 0xD1B54A32D192ED03
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        bits ^= bits >> 33
        bits = bits * factor & mask
    return (bits ^ bits >> 33) % 64


def categories_case(a, b):
    names = sorted(set(a) | set(b))
    in_a, in_b = Counter(a), Counter(b)
    current, reference = ([side[name] for name in names] for side in (in_a, in_b))
    # What is published: the 200 most frequent of both, the others in 64 bins.
    order = sorted(range(len(names)), key=lambda i: (-current[i] - reference[i], f"c{i}"))
    rows = []
    for side in (current, reference):
        rest = [0] * 64
        for i in order[200:]:
            rest[other_bin(f"c{i}")] += side[i]
        rows.append([side[i] for i in order[:200]] + rest)
    filled = [at for at in range(len(rows[0])) if rows[0][at] + rows[1][at] > 0]
    rows = [[side[at] for at in filled] for side in rows]
    chi2 = stats.chi2_contingency(np.array(rows), correction=False)
    p, q = np.array(rows[0]) / len(a), np.array(rows[1]) / len(b)
    pe, qe = np.where(p > 0, p, 1e-4), np.where(q > 0, q, 1e-4)
    yield "categories", current, reference, (
        chi2.statistic,
        chi2.dof,
        chi2.pvalue,
        np.sum((pe - qe) * np.log(pe / qe)),
        jensenshannon(p, q, base=2),
    )


def flights_cases(path):
    weeks = defaultdict(lambda: defaultdict(list))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            value, day = event.get("value"), event["event_time"][:10]
            if value is None or event.get("status", "ok") != "ok":
                continue
            week = int((np.datetime64(day) - np.datetime64("2013-04-01")).astype(int)) // 7
            weeks[event["feature"]][week].append(value)
    for feature, by_week in sorted(weeks.items()):
        baseline = [value for week in range(4) for value in by_week[week]]
        for week in range(4, 13):
            current = by_week[week]
            if not current:
                continue
            if isinstance(baseline[0], str):
                yield from categories_case(current, baseline)
            elif not isinstance(baseline[0], bool):
                thin = lambda values: np.array(values[::7], dtype=float)
                yield from whole_case(thin(current), thin(baseline))


def cases():
    for _ in range(60):
        yield from whole_case(sample(100 + size(3_000)), sample(100 + size(3_000)))
    for scale in (1e300, 1e-300):
        yield from whole_case(rng.normal(0, scale, 500), rng.normal(0, scale, 700))
    for _ in range(300):
        yield from pair_case(size(3_000), size(3_000))
    for n, m in ((1, 1), (1, 2), (2, 2), (1, 100_000), (100_000, 1), (100_000, 100_000), (99_991, 40_000)):
        yield from pair_case(n, m)
    for _ in range(300):
        yield from counts_case(int(rng.integers(1, 60)), size(100_000), size(100_000))
    yield from chi2_p_cases()
    yield from ks_p_cases()
    yield from bound_cases()


def main():
    warnings.simplefilter("ignore")
    with open(sys.argv[1], "w", encoding="ascii") as out:
        flights = flights_cases(sys.argv[2]) if len(sys.argv) > 2 else ()
        for case in itertools.chain(cases(), flights):
            out.write("\t".join([case[0], *(text(field) for field in case[1:])]) + "\n")


if __name__ == "__main__":
    main()
