// Planes and positions. Everything is LPS millimetres: x to the patient's left, y to posterior, z to superior.

// Directions of the screen in the patient: across (to the right of the screen), down, and the axis that is scrolled.
export const PLANES = [
  { name: 'axial', across: [1, 0, 0], down: [0, 1, 0], axis: 2 },
  { name: 'coronal', across: [1, 0, 0], down: [0, 0, -1], axis: 1 },
  { name: 'sagittal', across: [0, 1, 0], down: [0, 0, -1], axis: 0 },
]

const LETTERS = [['R', 'L'], ['A', 'P'], ['I', 'S']] // towards lower and higher x, y, z

// Letter of the side of the patient that a direction points to
export function letter(direction) {
  let axis = 0
  for (const n of [1, 2]) if (Math.abs(direction[n]) > Math.abs(direction[axis])) axis = n
  return LETTERS[axis][direction[axis] > 0 ? 1 : 0]
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
export const plus = (a, b, times = 1) => [a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]]

// A 4x4 matrix, as rows, applied to a point (w = 1) or a direction (w = 0)
export function apply(matrix, point, w = 1) {
  return [0, 1, 2].map((r) => dot(matrix[r], point) + w * matrix[r][3])
}

// Inverse of an affine 4x4 matrix
export function inverse(matrix) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = matrix
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
  const turned = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((value) => value / determinant))
  const moved = turned.map((row) => [...row, -dot(row, [x, y, z])])
  return [...moved, [0, 0, 0, 1]]
}

// What a canvas shows: the patient position of the centre of its first pixel, and the step to the next one
export class Frame {
  constructor(plane, centre, position, mmPerPixel, width, height) {
    this.plane = plane
    this.mmPerPixel = mmPerPixel
    const middle = centre.slice()
    middle[plane.axis] = position[plane.axis]
    const left = (-mmPerPixel * (width - 1)) / 2
    const top = (-mmPerPixel * (height - 1)) / 2
    this.origin = plus(plus(middle, plane.across, left), plane.down, top)
    this.across = plane.across.map((part) => part * mmPerPixel)
    this.down = plane.down.map((part) => part * mmPerPixel)
  }

  // Pixel coordinates of a position; the centre of the first pixel is (0.5, 0.5)
  toPixel(point) {
    const from = plus(point, this.origin, -1)
    return [
      dot(from, this.plane.across) / this.mmPerPixel + 0.5,
      dot(from, this.plane.down) / this.mmPerPixel + 0.5,
    ]
  }

  toPoint(x, y) {
    return plus(plus(this.origin, this.across, x - 0.5), this.down, y - 0.5)
  }
}

// Outer corners of the voxels of an image: lowest and highest x, y, z
export function bounds(shape, affine) {
  const low = [Infinity, Infinity, Infinity]
  const high = [-Infinity, -Infinity, -Infinity]
  for (let corner = 0; corner < 8; corner++) {
    const index = shape.map((n, axis) => ((corner >> axis) & 1 ? n - 0.5 : -0.5))
    const point = apply(affine, index)
    for (let axis = 0; axis < 3; axis++) {
      low[axis] = Math.min(low[axis], point[axis])
      high[axis] = Math.max(high[axis], point[axis])
    }
  }
  return { low, high }
}
