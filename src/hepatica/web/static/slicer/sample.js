// Values of a volume on a plane, trilinear from its own voxels in double precision.

export const OUTSIDE = -1e9
const FLAT = 1e-9
const HALF_VOXEL = 0.5

// Where along a row (pixels x0 to x1) the plane is inside the voxels, half a voxel of border with them
function inside(start, step, shape, width) {
  let x0 = 0
  let x1 = width - 1
  for (let axis = 0; axis < 3; axis++) {
    const low = -HALF_VOXEL
    const high = shape[axis] - 1 + HALF_VOXEL
    if (Math.abs(step[axis]) < FLAT) {
      if (start[axis] < low || start[axis] > high) return [0, -1]
      continue
    }
    const one = (low - start[axis]) / step[axis]
    const other = (high - start[axis]) / step[axis]
    x0 = Math.max(x0, Math.ceil(Math.min(one, other)))
    x1 = Math.min(x1, Math.floor(Math.max(one, other)))
  }
  return [x0, x1]
}

// Fill `out` (width x height) with values of the plane of a frame; OUTSIDE where the volume has no voxels
export function sample(volume, frame, width, height, out) {
  const inverse = volume.toIndex
  const index = (point, w) =>
    inverse.slice(0, 3).map((row) => row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + w * row[3])
  const origin = index(frame.origin, 1)
  const across = index(frame.across, 0)
  const down = index(frame.down, 0)
  for (let y = 0; y < height; y++) {
    const start = [origin[0] + down[0] * y, origin[1] + down[1] * y, origin[2] + down[2] * y]
    const [x0, x1] = inside(start, across, volume.shape, width)
    const row = y * width
    if (x1 < x0) {
      out.fill(OUTSIDE, row, row + width)
      continue
    }
    if (x0 > 0) out.fill(OUTSIDE, row, row + x0)
    if (x1 < width - 1) out.fill(OUTSIDE, row + x1 + 1, row + width)
    sampleRow(volume, start, across, x0, x1, row, out)
  }
}

// One row of pixels: the inner loop, written out for speed
function sampleRow(volume, start, across, x0, x1, row, out) {
  const data = volume.values
  const [nx, ny, nz] = volume.shape
  const lastX = nx - 1
  const lastY = ny - 1
  const lastZ = nz - 1
  const strideZ = nx * ny
  const dx = across[0]
  const dy = across[1]
  const dz = across[2]
  let i = start[0] + dx * x0
  let j = start[1] + dy * x0
  let k = start[2] + dz * x0
  for (let x = x0; x <= x1; x++, i += dx, j += dy, k += dz) {
    const ci = i < 0 ? 0 : i > lastX ? lastX : i
    const cj = j < 0 ? 0 : j > lastY ? lastY : j
    const ck = k < 0 ? 0 : k > lastZ ? lastZ : k
    const a = ci | 0
    const b = cj | 0
    const c = ck | 0
    const fi = ci - a
    const fj = cj - b
    const fk = ck - c
    const p = a + nx * b + strideZ * c
    const px = fi > 0 ? 1 : 0
    const py = fj > 0 ? nx : 0
    const v00 = data[p]
    const v10 = data[p + py]
    const d0 = v00 + fi * (data[p + px] - v00)
    const d1 = v10 + fi * (data[p + py + px] - v10)
    let value = d0 + fj * (d1 - d0)
    if (fk > 0) {
      const q = p + strideZ
      const w00 = data[q]
      const w10 = data[q + py]
      const e0 = w00 + fi * (data[q + px] - w00)
      const e1 = w10 + fi * (data[q + py + px] - w10)
      value += fk * (e0 + fj * (e1 - e0) - value)
    }
    out[row + x] = value
  }
}
