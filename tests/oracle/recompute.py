"""Recomputes every figure of every drift comparison from what a window publishes.

    python3 tests/oracle/recompute.py windows.ndjson

By the textbook's formulas, with nothing of Watchkeep. `ks_p` is recomputed
where scipy is installed. Exits with 1 and the line where a figure is another.
"""

import json
import math
import sys

try:
    from scipy.stats import distributions
except ImportError:
    distributions = None


def chi_square_tail(x, dof):
    """P(X > x) of chi-square, by the series or the continued fraction of the incomplete gamma function."""
    a, x = dof / 2, x / 2
    if x <= 0 or dof == 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        k = a
        while abs(term) > 1e-17 * abs(total):
            k += 1
            term *= x / k
            total += term
        return 1 - front * total
    b = x + 1 - a
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, 100_000):
        an = -i * (i - a)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        h *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return front * h


def recomputed(drift):
    bins = drift["bins"]
    current, reference = bins["current"], bins["reference"]
    n, m = sum(current), sum(reference)
    psi = divergence = squares = chi2 = 0.0
    used = 0
    for c, r in zip(current, reference):
        if c + r == 0:
            continue
        used += 1
        p, q = c / n, r / m
        pe, qe = p or 1e-4, q or 1e-4
        psi += (pe - qe) * math.log(pe / qe)
        divergence += sum(x * math.log2(2 * x / (p + q)) / 2 for x in (p, q) if x)
        squares += (math.sqrt(p) - math.sqrt(q)) ** 2 / 2
        for count, size in ((c, n), (r, m)):
            expected = size * (c + r) / (n + m)
            chi2 += (count - expected) ** 2 / expected
    found = {"psi": psi, "js": math.sqrt(max(divergence, 0)), "hellinger": math.sqrt(squares),
             "chi2_stat": chi2, "chi2_dof": used - 1, "chi2_p": chi_square_tail(chi2, used - 1)}
    if "areas" in bins:
        widest = bins.get("widest", {"current": 0, "reference": 0})
        found["ks_stat"] = abs(widest["current"] / drift["n"] - widest["reference"] / drift["n_ref"])
        found["wasserstein"] = math.fsum(bins["areas"])
        found["wasserstein_norm"] = found["wasserstein"] / max(bins["reference_sd"], 0.001)
        if distributions:
            size = drift["n"] * drift["n_ref"] / (drift["n"] + drift["n_ref"])
            found["ks_p"] = distributions.kstwo.sf(found["ks_stat"], round(size)) if found["ks_stat"] else 1.0
    return found


def main(path):
    comparisons = figures = 0
    with open(path) as lines:
        for number, line in enumerate(lines):
            for judged in json.loads(line).get("judged", []):
                if "bins" not in judged.get("drift", {}):
                    continue
                comparisons += 1
                for name, value in recomputed(judged["drift"]).items():
                    figures += 1
                    published = judged["drift"][name]
                    # Near 0 the textbook's JS and p-values have few digits left.
                    relative, absolute = (1e-6, 1e-12) if name.endswith("_p") else (1e-9, 2e-8 if name == "js" else 1e-12)
                    if not math.isclose(published, value, rel_tol=relative, abs_tol=absolute):
                        sys.exit(f"line {number}, {judged['expectation']}: {name} is {published}, recomputed {value}")
    print(f"{comparisons} comparisons, {figures} figures: all recomputed")


if __name__ == "__main__":
    main(sys.argv[1])
