"""When to look again: mean delay of each rule at equal calls, in simulation.

    python -m benchmarks.cadence [--quick] [--seeds 3]

Instances of four classes start at random and are cut off at a time-out of 4 h; each
rule is given the same durations. The rules are those of the daemon
(``Experience``, ``core.cadence``) and, beside them, a fixed interval, round-robin,
age-proportional, the true hazard, and the exact optimum: the dynamic programme of
the inspection problem, whose schedules know the distributions. A delay is the time
from the end of an instance to the first look after it. *To fixed* and *to bound*
are ratios of mean delays to that of a fixed interval, and of the optimum, that
takes as many calls on the same durations.
"""

import argparse
import statistics
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from math import ceil, erfc, exp, inf, log, log1p, sqrt
from random import Random
from typing import Final, NamedTuple, Protocol

from monitor.core import cadence, hazard, price
from monitor.core.cadence import Limits
from monitor.core.hazard import Curve, Table
from monitor.core.price import Price
from monitor.experience import Experience, Running

TIME_OUT: Final = 14_400.0
# Longer than the time-out: most of what is measured has started after the first hour.
WARM_UP: Final = 20_000.0
TICK: Final = 5.0
ARRIVALS: Final = 2.0
FREE: Final = Limits(floor=1.0, cap=inf)
PRIOR: Final = hazard.curve(hazard.hazards([]))
LESSONS: Final = (10, 100, 1000)
POLICIES: Final = (
    "bound",
    "fixed",
    "round-robin",
    "age-proportional",
    "√age",
    "nothing learnt",
    "learned",
    "learned, all as one class",
    "learned, max_interval 60 s",
    "true hazard",
)
COLUMNS: Final = (
    "bound",
    "age-prop.",
    "shipped*",
    "√age",
    "unlearnt",
    *(f"n={n:,}" for n in LESSONS),
    "true",
)


class Law(NamedTuple):
    """How long the instances of one class run, until they are cut off."""

    name: str
    share: float
    survival: Callable[[float], float]
    draw: Callable[[Random], float]

    def age(self, luck: Random) -> float:
        return min(TIME_OUT, self.draw(luck))


def lognormal(sigma: float, mean: float, share: float = 1.0) -> Law:
    mu = log(mean) - sigma**2 / 2

    def survival(age: float) -> float:
        return erfc((log(age) - mu) / sigma / sqrt(2)) / 2 if age > 0 else 1.0

    name = f"lognormal {sigma:g}, {mean:,.0f} s"
    return Law(name, share, survival, lambda luck: luck.lognormvariate(mu, sigma))


def weibull(shape: float, mean: float, share: float = 1.0) -> Law:
    # Γ(1 + 1/shape) for the shapes in use.
    scale = mean / {0.5: 2.0, 1.0: 1.0, 3.0: 0.8929795}[shape]
    name = f"Weibull {shape:g}" if shape != 1 else "exponential"
    return Law(
        f"{name}, {mean:,.0f} s",
        share,
        lambda age: exp(-((age / scale) ** shape)),
        lambda luck: luck.weibullvariate(scale, shape),
    )


def lomax(alpha: float, mean: float, share: float = 1.0) -> Law:
    scale = mean * (alpha - 1)
    return Law(
        f"Lomax {alpha:g}, {mean:,.0f} s",
        share,
        lambda age: exp(-alpha * log1p(age / scale)),
        lambda luck: scale * (luck.paretovariate(alpha) - 1),
    )


MIX: Final = (
    lognormal(0.25, 120, 0.60),
    lognormal(1.0, 600, 0.25),
    weibull(0.5, 1800, 0.10),
    lomax(1.5, 7200, 0.05),
)
SINGLE: Final = (
    weibull(1.0, 600),
    weibull(0.5, 600),
    weibull(3.0, 600),
    lognormal(0.25, 600),
    lognormal(1.0, 600),
    lognormal(2.0, 600),
    lomax(1.2, 600),
)


class Job(NamedTuple):
    start: float
    law: int
    seconds: float


class Outcome(NamedTuple):
    """Delays of the instances measured, by law, and the calls all of theirs took."""

    delays: list[tuple[int, float]]
    calls: int

    @property
    def mean(self) -> float:
        return statistics.fmean(delay for _, delay in self.delays)

    @property
    def each(self) -> float:
        return self.calls / len(self.delays)

    def of(self, law: int) -> list[float]:
        return [delay for of, delay in self.delays if of == law]

    def quantile(self, share: float) -> float:
        delays = sorted(delay for _, delay in self.delays)
        return delays[min(len(delays) - 1, int(share * len(delays)))]


# --- The optimum -----------------------------------------------------------------


class Optimum:
    """The cheapest schedules of one law, exact but for the grid of ages.

    W(s) = min over t > s of ∫_s^t (t - u) dF + c·S(s) + W(t), from the end back. The
    integral is G(t) - G(s) - F(s)·(t - s) with G the integral of F, so that what is
    minimised is a line in F(s) for each t: the lower hull of the lines gives every
    minimum in one pass.
    """

    def __init__(self, law: Law, points: int = 3000) -> None:
        self.ages = _grid(law, points)
        self._below = [1 - law.survival(age) for age in self.ages[:-1]] + [1.0]
        # F jumps at the time-out; its integral does not.
        inner = [*self._below[:-1], 1 - law.survival(TIME_OUT)]
        steps = (
            (high - low) * (f + g) / 2
            for (low, high), (f, g) in zip(
                pairwise(self.ages), pairwise(inner), strict=True
            )
        )
        self._under = [*accumulate(steps, initial=0.0)]
        self._known: dict[float, list[float]] = {}

    def schedule(self, cost: float) -> list[float]:
        if cost not in self._known:
            self._known[cost] = self._schedule(cost)
        return self._known[cost]

    def _schedule(self, cost: float) -> list[float]:
        ages, below, under = self.ages, self._below, self._under
        last = len(ages) - 1
        best, following = 0.0, [last] * len(ages)
        # Lines (slope, intercept, place), those of old ages on the left.
        hull: deque[tuple[float, float, int]] = deque()
        for place in range(last - 1, -1, -1):
            _add(hull, (-ages[place + 1], under[place + 1] + best, place + 1))
            share = below[place]
            while len(hull) > 1 and _at(hull[1], share) <= _at(hull[0], share):
                hull.popleft()
            following[place] = hull[0][2]
            best = _at(hull[0], share) - under[place] + share * ages[place]
            best += cost * (1 - share)
        return [*_followed(ages, following)]


@cache
def optimum(law: Law) -> Optimum:
    return Optimum(law)


def _grid(law: Law, points: int) -> list[float]:
    """Place ages where many end, and by the logarithm where few do."""
    fine = [TIME_OUT * (n / 20_000) ** 2 for n in range(20_001)]
    steps = [
        sqrt(law.survival(low) - law.survival(high) + 1e-5)
        for low, high in pairwise(fine)
    ]
    whole = sum(steps)
    ages, passed = [0.0], 0.0
    for (_, high), step in zip(pairwise(fine), steps, strict=True):
        passed += step / whole * points
        if passed >= len(ages):
            ages.append(high)
    return [*ages[:-1], TIME_OUT] if ages[-1] < TIME_OUT else ages


def _at(line: tuple[float, float, int], share: float) -> float:
    return line[1] + line[0] * share


def _add(hull: deque[tuple[float, float, int]], line: tuple[float, float, int]) -> None:
    while len(hull) > 1 and _hidden(hull[-2], hull[-1], line):
        hull.pop()
    hull.append(line)


def _hidden(
    left: tuple[float, float, int],
    middle: tuple[float, float, int],
    right: tuple[float, float, int],
) -> bool:
    return (right[1] - left[1]) * (middle[0] - left[0]) <= (middle[1] - left[1]) * (
        right[0] - left[0]
    )


def _followed(ages: Sequence[float], following: Sequence[int]) -> Iterator[float]:
    place = 0
    while place < len(ages) - 1:
        place = following[place]
        yield ages[place]


# --- Rules that look at each instance by itself ----------------------------------


def each(jobs: Iterable[Job], look: Callable[[Job], tuple[float, int]]) -> Outcome:
    """Follow every job alone; *look* gives the age at its last look, and how many."""
    delays, calls = [], 0
    for job in jobs:
        age, looks = look(job)
        delays.append((job.law, age - job.seconds))
        calls += looks
    return Outcome(delays, calls)


def fixed(jobs: Sequence[Job], wait: float) -> Outcome:
    def look(job: Job) -> tuple[float, int]:
        looks = max(1, ceil(job.seconds / wait))
        return looks * wait, looks

    return each(jobs, look)


def by_wait(
    jobs: Sequence[Job], wait: Callable[[float, float], float], seed: int = 0
) -> Outcome:
    """Look again after *wait*, a function of age and luck."""
    luck = Random(seed).random

    def look(job: Job) -> tuple[float, int]:
        age, looks = 0.0, 0
        while age < job.seconds or not looks:
            age += wait(age, luck())
            looks += 1
        return age, looks

    return each(jobs, look)


def shipped(stretch: float, limits: Limits) -> Callable[[float, float], float]:
    """Give the rule that holds until something is learnt, *stretch* times as long."""

    def wait(age: float, luck: float) -> float:
        return cadence.interval(age * stretch * stretch, age, limits, luck)

    return wait


def proportional(share: float) -> Callable[[float, float], float]:
    return lambda age, _: max(1.0, share * age)


def by_curve(curve: Curve, stride: float) -> Callable[[float, float], float]:
    def wait(age: float, luck: float) -> float:
        return cadence.learnt(curve, age, stride, FREE, luck, since=age)

    return wait


def scheduled(jobs: Sequence[Job], schedules: Sequence[Sequence[float]]) -> Outcome:
    def look(job: Job) -> tuple[float, int]:
        schedule = schedules[job.law]
        place = bisect_left(schedule, job.seconds)
        return schedule[place], place + 1

    return each(jobs, look)


def at_calls(run: Callable[[float], Outcome], wanted: float) -> Outcome:
    """Find the parameter, which makes looks rarer, that takes *wanted* calls a job."""
    low, high = 1e-4, 1e7
    best = run(sqrt(low * high))
    for _ in range(40):
        middle = sqrt(low * high)
        best = run(middle)
        if abs(best.each / wanted - 1) < 0.002:
            break
        low, high = (middle, high) if best.each > wanted else (low, middle)
    return best


# --- Rules that share a budget ---------------------------------------------------


class Policy(Protocol):
    def wait(self, law: int, age: float, luck: float) -> float: ...

    def ended(self, law: int, seconds: float) -> None: ...

    def tick(self, active: Iterable[tuple[int, float]], lag: float) -> None: ...


class Learning:
    """The daemon's own ``Experience``, from nothing."""

    def __init__(self, rate: float, limits: Limits, names: Mapping[int, str]) -> None:
        self._experience = Experience("sim", Forgetful(), limits=limits)
        self._kinds = {law: (f"sim/{name}", "sim") for law, name in names.items()}
        self._rate = rate
        self._limits = limits

    def wait(self, law: int, age: float, luck: float) -> float:
        return self._experience.interval(self._kinds[law], age, 1.0, self._limits, luck)

    def ended(self, law: int, seconds: float) -> None:
        self._experience.saw_end(self._kinds[law], seconds)

    def tick(self, active: Iterable[tuple[int, float]], lag: float) -> None:
        kinds = self._kinds
        running: Iterable[Running] = ((kinds[law], age, 1.0) for law, age in active)
        self._experience.reprice(running, self._rate, lag)


class Forgetful:
    async def newest(self, source: str, most: int) -> Sequence[str]:
        return []

    async def learnt(self, keys: Collection[str]) -> Mapping[str, Table]:
        return {}

    async def keep(
        self, source: str, learnt: Mapping[str, Table], known: Mapping[str, Table]
    ) -> Mapping[str, Table]:
        return {}


class Knowing:
    """The same law and price, given the true hazard of each bin."""

    def __init__(self, rate: float, laws: Sequence[Law], limits: Limits) -> None:
        self._curves = [true_curve(law) for law in laws]
        self._rate = rate
        self._limits = limits
        self._price = Price()

    def wait(self, law: int, age: float, luck: float) -> float:
        theta = self._price.theta or 10.0
        curve = self._curves[law]
        return cadence.learnt(curve, age, theta, self._limits, luck, since=age)

    def ended(self, law: int, seconds: float) -> None: ...

    def tick(self, active: Iterable[tuple[int, float]], lag: float) -> None:
        bins = Counter((law, hazard.bin_of(age)) for law, age in active)
        balanced = price.balancing([*map(self._group, bins, bins.values())], self._rate)
        if balanced:
            self._price = price.after(self._price, balanced, lag)

    def _group(self, where: tuple[int, int], count: int) -> price.Group:
        law, place = where
        age = hazard.MIDDLES[place]
        floor, cap = cadence.bounds(age, self._limits, since=age)
        return price.Group(count, self._curves[law].slopes[place], floor, cap)


def true_curve(law: Law) -> Curve:
    """Give the curve of ends by watch-seconds in each bin, as endless learning would."""

    def alive(age: float) -> float:
        return law.survival(age) if age < TIME_OUT else 0.0

    def by_bin(low: float, high: float) -> float:
        middles = (
            low + (min(high, TIME_OUT) - low) * (n + 0.5) / 64 for n in range(64)
        )
        lived = sum(map(law.survival, middles)) / 64 * (min(high, TIME_OUT) - low)
        return max(1e-9, (alive(low) - alive(high)) / lived) if lived > 1e-12 else 1e-9

    return hazard.curve(
        [
            by_bin(low, high) if low < TIME_OUT else 1.0
            for low, high in pairwise(hazard.EDGES)
        ]
    )


class Turns:
    """Round-robin: whoever was looked at goes to the end of the line."""

    def wait(self, law: int, age: float, luck: float) -> float:
        return 1.0

    def ended(self, law: int, seconds: float) -> None: ...

    def tick(self, active: Iterable[tuple[int, float]], lag: float) -> None: ...


def together(
    jobs: Sequence[Job], policy: Policy, rate: float, measured: tuple[float, float]
) -> Outcome:
    """Let all jobs share *rate* looks a second, as the scheduler does.

    Looks are made in the order they are due; unused slots are saved up for a tenth
    of a second. Jobs that end in the time *measured* count.
    """
    luck = Random(1).random
    gap, slot, lag = 1 / rate, 0.0, 0.0
    delays, calls = [], 0
    left = len(within(jobs, measured))
    alive: dict[int, Job] = {}
    looks: dict[int, int] = {}
    heap: list[tuple[float, int]] = []
    arriving, ticking = 0, 0.0
    while left:
        due = max(heap[0][0], slot) if heap else inf
        starts = jobs[arriving].start if arriving < len(jobs) else inf
        now = min(due, starts, ticking)
        if now == ticking:
            lag = max(0.0, now - heap[0][0]) if heap else 0.0
            policy.tick(((job.law, now - job.start) for job in alive.values()), lag)
            ticking += TICK
        elif now == starts:
            job = alive[arriving] = jobs[arriving]
            looks[arriving] = 0
            heappush(heap, (now + policy.wait(job.law, 0.0, luck()), arriving))
            arriving += 1
        else:
            _, number = heappop(heap)
            slot = max(slot, now - 0.1) + gap
            job = alive[number]
            age = now - job.start
            looks[number] += 1
            if age < job.seconds:
                heappush(heap, (now + policy.wait(job.law, age, luck()), number))
                continue
            del alive[number]
            policy.ended(job.law, job.seconds)
            took = looks.pop(number)
            if _ends_in(job, measured):
                delays.append((job.law, age - job.seconds))
                calls += took
                left -= 1
    return Outcome(delays, calls)


def within(jobs: Iterable[Job], measured: tuple[float, float]) -> list[Job]:
    return [job for job in jobs if _ends_in(job, measured)]


def _ends_in(job: Job, measured: tuple[float, float]) -> bool:
    since, until = measured
    return since <= job.start + job.seconds < until


# --- The two comparisons ---------------------------------------------------------


class Run(NamedTuple):
    """One policy on one stream of jobs, at one budget."""

    policy: str
    rate: float
    seed: int
    seconds: float

    @property
    def measured(self) -> tuple[float, float]:
        return WARM_UP, WARM_UP + self.seconds

    def jobs(self) -> list[Job]:
        """Draw the same jobs for every policy and budget."""
        luck, start, jobs = Random(self.seed), 0.0, []
        shares = [law.share for law in MIX]
        while start < self.measured[1] + 1000:
            start += luck.expovariate(ARRIVALS)
            [law] = luck.choices(range(len(MIX)), shares)
            jobs.append(Job(start, law, MIX[law].age(luck)))
        return jobs


class Row(NamedTuple):
    """An outcome, and the means at equal calls of a fixed interval and of the bound."""

    outcome: Outcome
    fixed: float
    bound: float


def compared(outcome: Outcome, jobs: Sequence[Job], optima: Sequence[Optimum]) -> Row:
    def bound(cost: float) -> Outcome:
        return scheduled(jobs, [each.schedule(cost) for each in optima])

    wanted = outcome.each
    return Row(
        outcome,
        at_calls(lambda wait: fixed(jobs, wait), wanted).mean,
        at_calls(bound, wanted).mean,
    )


def mixed(run: Run) -> Row:
    """Let one policy loose on the four classes."""
    jobs = run.jobs()
    counted = within(jobs, run.measured)
    each_has = run.rate / ARRIVALS
    names = {number: law.name for number, law in enumerate(MIX)}
    optima = [optimum(law) for law in MIX]
    match run.policy:
        case "learned":
            policy: Policy = Learning(run.rate, FREE, names)
        case "learned, all as one class":
            policy = Learning(run.rate, FREE, dict.fromkeys(names, "any"))
        case "learned, max_interval 60 s":
            policy = Learning(run.rate, Limits(floor=1.0, cap=60.0), names)
        case "true hazard":
            policy = Knowing(run.rate, MIX, FREE)
        case "round-robin":
            policy = Turns()
        case alone:
            return compared(
                at_calls(alone_by(alone, counted, optima), each_has), counted, optima
            )
    return compared(together(jobs, policy, run.rate, run.measured), counted, optima)


def alone_by(
    policy: str, jobs: Sequence[Job], optima: Sequence[Optimum]
) -> Callable[[float], Outcome]:
    """Give the run of a rule that needs no budget, by the parameter to tune."""
    match policy:
        case "bound":
            return lambda cost: scheduled(
                jobs, [each.schedule(cost) for each in optima]
            )
        case "fixed":
            return lambda wait: fixed(jobs, wait)
        case "age-proportional":
            return lambda share: by_wait(jobs, proportional(share))
        case "√age":
            return lambda stretch: by_wait(jobs, shipped(stretch, FREE))
        case "nothing learnt":
            return lambda stride: by_wait(jobs, by_curve(PRIOR, stride))
    raise ValueError(policy)


def print_mix(
    rates: Sequence[float], seeds: int, seconds: float, pool: Executor
) -> None:
    for rate in rates:
        print(
            f"\nFour classes, {ARRIVALS:g} new a second, {rate:g} requests/s "
            f"({rate / ARRIVALS:g} for each), {seeds} seeds of {seconds:,.0f} s:\n\n"
            f"{'':27}   mean    p50     p99     max   calls/s  to fixed  to bound"
        )
        for policy in POLICIES:
            runs = [Run(policy, rate, seed, seconds) for seed in range(1, seeds + 1)]
            print(f"{policy:27}" + line([*pool.map(mixed, runs)]), flush=True)


def line(rows: Sequence[Row]) -> str:
    whole = Outcome(
        [delay for row in rows for delay in row.outcome.delays],
        sum(row.outcome.calls for row in rows),
    )
    fixed_mean = statistics.fmean(row.fixed for row in rows)
    bound_mean = statistics.fmean(row.bound for row in rows)
    return (
        f"{whole.mean:7.2f}{whole.quantile(0.5):7.2f}{whole.quantile(0.99):8.1f}"
        f"{whole.quantile(1.0):8.0f}{whole.each * ARRIVALS:10.1f}"
        f"{whole.mean / fixed_mean:10.2f}{whole.mean / bound_mean:10.2f}"
    )


def single(law: Law, seed: int, calls: float, count: int) -> list[float]:
    """Give mean delays of one class by ``COLUMNS``, that of a fixed interval as 1."""
    luck = Random(seed)
    jobs = [Job(0.0, 0, law.age(luck)) for _ in range(count)]
    best = optimum(law)
    baseline = at_calls(lambda wait: fixed(jobs, wait), calls).mean

    def by(curve: Curve) -> float:
        run = at_calls(lambda stride: by_wait(jobs, by_curve(curve, stride)), calls)
        return run.mean / baseline

    bound = at_calls(lambda cost: scheduled(jobs, [best.schedule(cost)]), calls)
    root = at_calls(lambda by: by_wait(jobs, shipped(by, FREE)), calls)
    age = at_calls(lambda share: by_wait(jobs, proportional(share)), calls)
    as_is = by_wait(jobs, shipped(1.0, Limits()))
    as_often = at_calls(lambda wait: fixed(jobs, wait), as_is.each)
    return [
        bound.mean / baseline,
        age.mean / baseline,
        as_is.mean / as_often.mean,
        root.mean / baseline,
        by(PRIOR),
        *(by(learnt_from(law.age(luck) for _ in range(n))) for n in LESSONS),
        by(true_curve(law)),
    ]


def learnt_from(durations: Iterable[float]) -> Curve:
    table = Table()
    for seconds in durations:
        table = hazard.ended(table, seconds)
    return hazard.curve(hazard.hazards([table]))


def print_single(calls: float, seeds: int, count: int, pool: Executor) -> None:
    print(
        f"\nOne class alone, {calls:g} calls for each, mean delay to that of a fixed "
        f"interval ({seeds} seeds of {count:,}):\n\n"
        f"{'':22}" + "".join(f"{name:>11}" for name in COLUMNS)
    )
    laws = {law.name: law for law in (*SINGLE, *MIX)}
    for name in laws:
        asked = [(name, seed, calls, count) for seed in range(1, seeds + 1)]
        means = [
            statistics.fmean(of) for of in zip(*pool.map(_single, asked), strict=True)
        ]
        print(f"{name:22}" + "".join(f"{mean:11.2f}" for mean in means), flush=True)
    print("* cadence.interval with default limits, at the calls that it takes")


def _single(asked: tuple[str, int, float, int]) -> list[float]:
    name, seed, calls, count = asked
    law = next(law for law in (*SINGLE, *MIX) if law.name == name)
    return single(law, seed, calls, count)


def print_pass(watches: int) -> None:
    """Time one pass of the price over *watches* of two hundred classes."""
    luck = Random(1)
    experience = Experience("sim", Forgetful())
    kinds = [(f"plan {n}", f"scope {n % 20}", "sim") for n in range(200)]
    for of in kinds * 10:
        experience.saw_end(of, luck.lognormvariate(6, 1))
    active = [
        (luck.choice(kinds), luck.lognormvariate(6, 2), 1.0) for _ in range(watches)
    ]
    took = []
    for _ in range(7):
        before = time.perf_counter()
        experience.reprice(active, 1000.0, 0.0)
        took.append(time.perf_counter() - before)
    print(
        f"\nOne pass of the price over {watches:,} watches of {len(kinds)} classes: "
        f"{statistics.median(took) * 1000:.0f} ms, every {TICK:g} s, in slices"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one budget")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else arguments.seeds
    rates = (20.0,) if arguments.quick else (50.0, 20.0, 10.0)
    with ProcessPoolExecutor() as pool:
        print_mix(rates, seeds, 2000.0 if arguments.quick else 6000.0, pool)
        print_single(10.0, seeds, 1000, pool)
    print_pass(100_000)


if __name__ == "__main__":
    main()
