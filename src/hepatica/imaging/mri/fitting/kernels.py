"""Warp kernel that fits the decay of one voxel after the other: maximum likelihood of Rician magnitudes.

Magnitudes are over the standard deviation of the noise, times in ms and rates in 1/ms. Parameters are the logarithm of
the signal at echo time zero, the rate, and a third one that `model` names: none (0), the share of fat (1) or the
squared phase rate of the slice's gradient (2). On the CPU a launch is one thread's work; `first` is its first voxel.

This module is only imported where MR images are fitted: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False, "fast_math": True})

TABLE_STEP = wp.constant(32.0)
"""Places of the table of information per unit of signal over noise."""

LAST_SIGNAL = wp.constant(10.0)
"""Signal over noise up to which it goes."""

ITERATIONS = wp.constant(60)
LOWEST_RATE = wp.constant(-1.0)
HIGHEST_RATE = wp.constant(60.0)
"""In 1/ms: R2* of 60 000 per second is beyond any echo time."""

HIGHEST_LOG = wp.constant(18.0)
LOWEST_LOG = wp.constant(-6.0)

Sums = wp.types.vector(length=10, dtype=wp.float32)
"""Information aa ar rr ap rp pp, slopes a r p, logarithm of the likelihood."""


@wp.func
def bessel_ratio(x: float):
    """I1(x) / I0(x) by the polynomials of Abramowitz and Stegun, 9.8.1 to 9.8.4."""
    if x < 3.75:
        y = x * x / 14.0625
        i0 = 1.0 + y * (
            3.5156229 + y * (3.0899424 + y * (1.2067492 + y * (0.2659732 + y * (0.0360768 + y * 0.0045813))))
        )
        i1 = x * (
            0.5
            + y
            * (0.87890594 + y * (0.51498869 + y * (0.15084934 + y * (0.02658733 + y * (0.00301532 + y * 0.00032411)))))
        )
        return i1 / i0
    z = 3.75 / x
    k0 = scaled_i0(z)
    far = -0.01031555 + z * (0.02282967 + z * (-0.02895312 + z * (0.01787654 - z * 0.00420059)))
    k1 = 0.39894228 + z * (-0.03988024 + z * (-0.00362018 + z * (0.00163801 + z * far)))
    return k1 / k0


@wp.func
def scaled_i0(z: float):
    """I0(x) exp(-x) sqrt(x) at z = 3.75 / x."""
    far = 0.00916281 + z * (-0.02057706 + z * (0.02635537 + z * (-0.01647633 + z * 0.00392377)))
    return 0.39894228 + z * (0.01328592 + z * (0.00225319 + z * (-0.00157565 + z * far)))


@wp.func
def log_scaled_i0(x: float):
    """Logarithm of I0(x) exp(-x)."""
    if x < 3.75:
        y = x * x / 14.0625
        i0 = 1.0 + y * (
            3.5156229 + y * (3.0899424 + y * (1.2067492 + y * (0.2659732 + y * (0.0360768 + y * 0.0045813))))
        )
        return wp.log(i0) - x
    return wp.log(scaled_i0(3.75 / x)) - 0.5 * wp.log(x)


@wp.func
def information(signal: float, table: wp.array(dtype=float)):
    """Fisher information of a Rician magnitude about its signal, both over sigma."""
    if not (signal < LAST_SIGNAL):
        return 1.0 - 0.5 / (signal * signal)
    place = signal * TABLE_STEP
    low = int(place)
    part = place - float(low)
    return table[low] * (1.0 - part) + table[low + 1] * part


@wp.func
def shape(model: int, p: float, time: float, fat: wp.vec2):
    """Third factor of the signal and the derivative of its logarithm by p."""
    if model == 1:
        real = 1.0 - p + p * fat[0]
        imaginary = p * fat[1]
        square = wp.max(real * real + imaginary * imaginary, 1.0e-6)
        slope = (real * (fat[0] - 1.0) + imaginary * fat[1]) / square
        return wp.vec2(wp.sqrt(square), slope)
    if model == 2:
        x = wp.sqrt(wp.max(p, 0.0)) * time
        if x < 0.05:
            return wp.vec2(1.0 - x * x / 6.0, -time * time / 6.0)
        x = wp.min(x, 3.0)
        value = wp.sin(x) / x
        return wp.vec2(value, (1.0 / wp.tan(x) - 1.0 / x) * time * time / (2.0 * x))
    return wp.vec2(1.0, 0.0)


@wp.func
def sums_at(
    magnitude: wp.array2d(dtype=float),
    factor: wp.array2d(dtype=float),
    row: int,
    factor_row: int,
    times: wp.array(dtype=float),
    fat: wp.array(dtype=wp.vec2),
    table: wp.array(dtype=float),
    model: int,
    prior: wp.vec2,
    parameters: wp.vec3,
):
    """Information, slopes and likelihood of a voxel at given parameters; `prior` is a log S0 and its weight."""
    out = Sums()
    away = prior[0] - parameters[0]
    out[0] = prior[1]
    out[6] = prior[1] * away
    out[9] = -0.5 * prior[1] * away * away
    for e in range(times.shape[0]):
        t = times[e]
        third = shape(model, parameters[2], t, fat[e])
        amount = wp.exp(wp.clamp(parameters[0] - parameters[1] * t, -40.0, 25.0)) * third[0] * factor[factor_row, e]
        m = magnitude[row, e]
        product = m * amount
        pull = m * bessel_ratio(product) - amount
        weight = information(amount, table)
        da = amount
        dr = -t * amount
        dp = amount * third[1]
        out[0] += weight * da * da
        out[1] += weight * da * dr
        out[2] += weight * dr * dr
        out[3] += weight * da * dp
        out[4] += weight * dr * dp
        out[5] += weight * dp * dp
        out[6] += pull * da
        out[7] += pull * dr
        out[8] += pull * dp
        out[9] += -0.5 * (m - amount) * (m - amount) + log_scaled_i0(product)
    return out


@wp.func
def start(
    magnitude: wp.array2d(dtype=float),
    factor: wp.array2d(dtype=float),
    row: int,
    factor_row: int,
    times: wp.array(dtype=float),
    above: int,
):
    """Weighted log-linear fit to the first echoes, those above the noise and two at least: log S0 and rate."""
    s0 = float(0.0)
    s1 = float(0.0)
    s2 = float(0.0)
    y0 = float(0.0)
    y1 = float(0.0)
    for e in range(times.shape[0]):
        if e < wp.max(above, 2):
            m = magnitude[row, e]
            square = wp.max(m * m - 1.0, 0.25)
            y = 0.5 * wp.log(square) - wp.log(wp.max(factor[factor_row, e], 1.0e-3))
            s0 += square
            s1 += square * times[e]
            s2 += square * times[e] * times[e]
            y0 += square * y
            y1 += square * y * times[e]
    determinant = s0 * s2 - s1 * s1
    rate = -(s0 * y1 - s1 * y0) / wp.max(determinant, 1.0e-12)
    rate = wp.clamp(rate, LOWEST_RATE, HIGHEST_RATE)
    return wp.vec2(wp.clamp((y0 + rate * s1) / s0, LOWEST_LOG, HIGHEST_LOG), rate)


@wp.func
def solve(s: Sums, p: wp.vec3, damping: float, model: int, highest: float):
    """Step of the parameters; the third one rests where it is at a limit and pulled beyond it."""
    rests = model == 0 or (p[2] <= 0.0 and s[8] <= 0.0) or (p[2] >= highest and s[8] >= 0.0)
    aa = s[0] * (1.0 + damping) + 1.0e-9
    rr = s[2] * (1.0 + damping) + 1.0e-9
    if rests:
        determinant = aa * rr - s[1] * s[1]
        return wp.vec3((rr * s[6] - s[1] * s[7]) / determinant, (aa * s[7] - s[1] * s[6]) / determinant, 0.0)
    matrix = wp.mat33(aa, s[1], s[3], s[1], rr, s[4], s[3], s[4], s[5] * (1.0 + damping) + 1.0e-9)
    return wp.inverse(matrix) * wp.vec3(s[6], s[7], s[8])


@wp.func
def within(p: wp.vec3, model: int, highest: float):
    """Parameters in their limits."""
    third = float(0.0)
    if model > 0:
        third = wp.clamp(p[2], 0.0, highest)
    return wp.vec3(wp.clamp(p[0], LOWEST_LOG, HIGHEST_LOG), wp.clamp(p[1], LOWEST_RATE, HIGHEST_RATE), third)


@wp.kernel
def fit_voxels(
    magnitude: wp.array2d(dtype=float),
    factor: wp.array2d(dtype=float),
    above: wp.array(dtype=int),
    priors: wp.array(dtype=wp.vec2),
    times: wp.array(dtype=float),
    fat: wp.array(dtype=wp.vec2),
    table: wp.array(dtype=float),
    starts: wp.array(dtype=float),
    model: int,
    highest: float,
    first: int,
    found: wp.array2d(dtype=float),
):
    """Fit voxels from `first` on: log S0, rate, third, information aa ar rr with the third taken out, log-likelihood.

    `priors` holds a log S0 and its weight (zero for none) for each voxel.
    """
    row = first + wp.tid()
    factor_row = row
    if factor.shape[0] == 1:
        factor_row = 0
    begin = start(magnitude, factor, row, factor_row, times, above[row])
    prior = priors[row]
    if prior[1] > 0.0:
        rate = (prior[0] - wp.log(wp.max(magnitude[row, 0], 1.0))) / times[0]
        begin = wp.vec2(prior[0], wp.clamp(rate, 0.0, HIGHEST_RATE))
    best = float(-1.0e30)
    for n in range(starts.shape[0]):
        p = within(wp.vec3(begin[0], begin[1], starts[n]), model, highest)
        s = sums_at(magnitude, factor, row, factor_row, times, fat, table, model, prior, p)
        damping = float(1.0e-4)
        for _ in range(ITERATIONS):
            trial = within(p + solve(s, p, damping, model, highest), model, highest)
            there = sums_at(magnitude, factor, row, factor_row, times, fat, table, model, prior, trial)
            moved = wp.abs(trial[0] - p[0]) * wp.sqrt(s[0]) + wp.abs(trial[1] - p[1]) * wp.sqrt(s[2])
            moved += wp.abs(trial[2] - p[2]) * wp.sqrt(s[5])
            if there[9] >= s[9] - 1.0e-6 * wp.abs(s[9]) - 1.0e-5:
                p = trial
                s = there
                damping = wp.max(damping * 0.2, 1.0e-6)
                if moved < 2.0e-3:
                    break
            else:
                if damping > 1.0e7 or moved < 1.0e-4:
                    break
                damping = wp.max(damping * 8.0, 1.0e-3)
        if s[9] > best:
            best = s[9]
            aa = s[0]
            ar = s[1]
            rr = s[2]
            if model > 0 and s[5] > 1.0e-9:
                # What is not known of the third parameter is left in the uncertainty of the others.
                aa = s[0] - s[3] * s[3] / s[5]
                ar = s[1] - s[3] * s[4] / s[5]
                rr = s[2] - s[4] * s[4] / s[5]
            found[row, 0] = p[0]
            found[row, 1] = p[1]
            found[row, 2] = p[2]
            found[row, 3] = aa
            found[row, 4] = ar
            found[row, 5] = rr
            found[row, 6] = s[9]
