"""Prototype."""
from __future__ import annotations
import os, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from scipy import ndimage as nd
from scipy.fft import dctn, idctn
import warp as wp
wp.config.quiet = True
wp.init()
from hepatica.anatomy.registration.deformable import kernels as K
wp.load_module(K, device="cpu")
THREADS = 2
pool = ThreadPoolExecutor(THREADS)

def launch(kernel, shape, inputs, outputs):
    n = shape[0]
    cuts = [n * t // THREADS for t in range(THREADS + 1)]
    def part(a, b):
        wp.launch(kernel, dim=(b - a, *shape[1:]), inputs=[*inputs, a, *outputs], device="cpu")
    jobs = [pool.submit(part, a, b) for a, b in zip(cuts[:-1], cuts[1:]) if b > a]
    for j in jobs: j.result()

def vec(a):
    return wp.array(np.ascontiguousarray(a, np.float32), dtype=wp.vec3, device="cpu", copy=False)
def sca(a): return wp.array(np.ascontiguousarray(a, np.float32), dtype=wp.float32, device="cpu", copy=False)
def new(shape): return wp.zeros(shape, dtype=wp.vec3, device="cpu")

def compose(inner, outer):
    out = np.empty_like(inner); launch(K.compose, inner.shape[:3], [vec(inner), vec(outer)], [vec(out)]); return out
def exponential(v):
    top = float(np.sqrt((v ** 2).sum(-1).max())) if v.size else 0
    n = max(0, int(np.ceil(np.log2(max(top, 1e-9) / 0.25))))
    u = v / np.float32(2 ** n)
    for _ in range(n): u = compose(u, u)
    return np.ascontiguousarray(u, np.float32)
def refine(v, factor, shape):
    out = np.empty((*shape, 3), np.float32); launch(K.refine, shape, [vec(v), factor], [vec(out)]); return out
def rough(v, stiff):
    out = np.empty_like(v); launch(K.roughness, v.shape[:3], [vec(v), stiff], [vec(out)]); return out

def halve(v):
    return v.reshape(v.shape[0] // 2, 2, v.shape[1] // 2, 2, v.shape[2] // 2, 2, *v.shape[3:]).mean((1, 3, 5), dtype=np.float32)

def eig(shape):
    s = [2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape]
    return (s[0][:, None, None] + s[1][:, None] + s[2]).astype(np.float32)

def solve(D, M, rhs, alpha, beta_ridge, order, stiff, iters, tol=0.02):
    """PCG of (H + ridge + alpha L^order) x = rhs with a DCT preconditioner."""
    hbar = float(D.mean()) 
    lam = eig(D.shape[:3]); pre = 1 / (hbar + beta_ridge + alpha * lam ** order)
    def A(x):
        y = D * x
        y[..., 0] += M[..., 0] * x[..., 1] + M[..., 1] * x[..., 2]
        y[..., 1] += M[..., 0] * x[..., 0] + M[..., 2] * x[..., 2]
        y[..., 2] += M[..., 1] * x[..., 0] + M[..., 2] * x[..., 1]
        l = rough(x, stiff)
        if order == 2: l = rough(l, stiff)
        y += np.float32(alpha) * l + np.float32(beta_ridge) * x
        return y
    def P(r):
        return idctn(dctn(r, axes=(0, 1, 2), workers=THREADS) * pre[..., None], axes=(0, 1, 2), workers=THREADS)
    x = np.zeros_like(rhs); r = rhs.copy(); z = P(r); p = z.copy(); rz = float(np.vdot(r, z)); r0 = rz
    for it in range(iters):
        q = A(p); a = rz / max(float(np.vdot(p, q)), 1e-30)
        x += np.float32(a) * p; r -= np.float32(a) * q; z = P(r); new = float(np.vdot(r, z))
        if new < tol ** 2 * r0: break
        p = z + np.float32(new / rz) * p; rz = new
    return x, it + 1

class Par:
    order = 1; alpha = 0.1; total = 0.5; block = 2; levels = 3; iters = (12, 10, 8); cg = 12; robust = 0.0; limit = 1.0; charb = 0.0; tol=0.03; verbose=False; stop=0.02; presmooth=0.5
    def __init__(self, **k): 
        for a, b in k.items(): setattr(self, a, b)

def register(feat, f, m, par, wf=None, wm=None):
    """feat(level image, spacing level)->(channels). f, m padded arrays same shape."""
    t0 = time.process_time()
    L, b = par.levels, par.block
    step = b * 2 ** (L - 1)
    shape = f.shape; pad = [(0, -n % step) for n in shape]
    wf = np.ones(shape, np.float32) if wf is None else wf.astype(np.float32)
    wm = np.ones(shape, np.float32) if wm is None else wm.astype(np.float32)
    F = [np.pad(f, pad, mode='edge')]; M = [np.pad(m, pad, mode='edge')]
    WF = [np.pad(wf, pad)]; WM = [np.pad(wm, pad)]
    for _ in range(L - 1):
        F.append(halve(F[-1])); M.append(halve(M[-1])); WF.append((halve(WF[-1])>0.99).astype(np.float32)); WM.append((halve(WM[-1])>0.99).astype(np.float32))
    v = None
    for lev in range(L - 1, -1, -1):
        ff, mf = feat(F[lev], lev), feat(M[lev], lev)
        fa, ma, wfa, wma = sca(ff), sca(mf), sca(WF[lev]), sca(WM[lev])
        ns = tuple(n // b for n in F[lev].shape)
        v = np.zeros((*ns, 3), np.float32) if v is None else refine(v, 2, ns)
        stiff = sca(np.ones(ns)); cgs = 0; alpha0=None
        for it in range(par.iters[L - 1 - lev]):
            um = exponential(0.5 * v); uf = exponential(-0.5 * v)
            D, X, G = (np.empty((*ns, 3), np.float32) for _ in range(3)); E = np.empty((*ns, 2), np.float32)
            launch(K.normal_equations, ns, [fa, ma, wfa, wma, vec(uf), vec(um), b, float(par.robust)],
                   [vec(D), vec(X), vec(G), wp.array(E, dtype=wp.vec2, device="cpu", copy=False)])
            info = D.sum(-1); mean = float(info.mean()) / 3
            if alpha0 is None: alpha0 = mean
            alpha = par.alpha * alpha0
            s = stiff
            if par.charb > 0 and it > 1:
                gr = sum(((np.diff(v, axis=a, append=np.take(v, [-1], a))) ** 2).sum(-1) for a in range(3))
                s = sca(1 / np.sqrt(1 + gr / par.charb ** 2))
            rhs = G
            if par.total > 0:
                l = rough(v, s)
                if par.order == 2: l = rough(l, s)
                rhs = G - np.float32(alpha * par.total) * l
            d, n = solve(D, X, rhs, alpha, 1e-3 * mean, par.order, s, par.cg, par.tol); cgs += n
            size = np.sqrt((d ** 2).sum(-1)); 
            d *= (np.minimum(1, par.limit / np.maximum(size, 1e-9)))[..., None]
            v = v + d
            if par.verbose: print(lev, it, 'misfit %.5f' % (E[..., 0].sum() / E[..., 1].sum()), 'step p99 %.3f max %.3f' % (np.percentile(size, 99), size.max()), n, '%.1f' % (time.process_time() - t0))
            if np.percentile(size, 99) < par.stop: break
    u = exponential(v)
    out = refine(u, b, F[0].shape)[:shape[0], :shape[1], :shape[2]]
    return out, time.process_time() - t0

def jac(u):
    g = [np.gradient(u[..., a]) for a in range(3)]
    J = np.stack([np.stack(x, -1) for x in g], -2) + np.eye(3, dtype=np.float32)
    return np.linalg.det(J)

# features
def gauss(x, s): return nd.gaussian_filter(x, s, mode='nearest', truncate=3)
def f_int(presmooth=0.5, lo=-1000, hi=1000, scale=1 / 300.):
    return lambda x, lev: (gauss(np.clip(x, lo, hi), presmooth) * np.float32(scale))[..., None]
def f_lncc(radius=2, floor=40., presmooth=0.5, lo=-1000, hi=600):
    def run(x, lev):
        x = gauss(np.clip(x, lo, hi), presmooth).astype(np.float32)
        m = gauss(x, radius); s = gauss(x * x, radius) - m * m
        return ((x - m) / np.sqrt(np.maximum(s, 0) + floor ** 2))[..., None].astype(np.float32)
    return run
def f_mind(dist=1, patch=0.8, floor=20., presmooth=0.5, lo=-1000, hi=600, vmin=0.0):
    six = np.array([[1,0,0],[-1,0,0],[0,1,0],[0,-1,0],[0,0,1],[0,0,-1]]) * dist
    pairs = [(a, b) for a in range(6) for b in range(a) if abs(((six[a] - six[b]) ** 2).sum() - 2 * dist ** 2) < 1e-6]
    def run(x, lev):
        x = gauss(np.clip(x, lo, hi), presmooth).astype(np.float32)
        p = np.pad(x, dist, mode='edge'); n = x.shape
        sh = [p[dist + o[0]:dist + o[0] + n[0], dist + o[1]:dist + o[1] + n[1], dist + o[2]:dist + o[2] + n[2]] for o in six]
        out = np.empty((*n, 12), np.float32)
        for c, (a, b) in enumerate(pairs): out[..., c] = gauss((sh[a] - sh[b]) ** 2, patch)
        out -= out.min(-1, keepdims=True)
        V = out.mean(-1, keepdims=True) + np.float32(floor ** 2)
        return np.exp(-out / V)
    return run
def f_ngf(eta=60., presmooth=0.7, lo=-1000, hi=600):
    def run(x, lev):
        x = gauss(np.clip(x, lo, hi), presmooth).astype(np.float32)
        g = np.stack(np.gradient(x), -1)
        n = g / np.sqrt((g ** 2).sum(-1, keepdims=True) + np.float32(eta ** 2))
        r = np.float32(np.sqrt(2))
        return np.stack([n[..., 0] ** 2, n[..., 1] ** 2, n[..., 2] ** 2, r * n[..., 0] * n[..., 1], r * n[..., 0] * n[..., 2], r * n[..., 1] * n[..., 2]], -1).astype(np.float32)
    return run
