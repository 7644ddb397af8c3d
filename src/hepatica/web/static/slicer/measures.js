// What is measured on a plane: a length, an angle, or a region whose values the server reads. All are lists of points.

import { dot, plus } from './geometry.js'

export const KINDS = {
  measure: { title: 'Length', points: 2, hint: 'draw a line' },
  angle: { title: 'Angle', points: 3, hint: 'draw one side to the corner, then the other one from it' },
  ellipse: { title: 'Ellipse', points: 2, hint: 'drag from corner to corner: mean, SD, lowest and highest value' },
  rectangle: { title: 'Box', points: 2, hint: 'drag from corner to corner: mean, SD, lowest and highest value' },
}
const INK = '#7fe7ff'
const NEAR_MM = 1

export const isWhole = (one) => one.points.length >= KINDS[one.kind].points
export const isRegion = (one) => one.kind === 'ellipse' || one.kind === 'rectangle'
const between = (a, b) => plus(b, a, -1)
const size = (vector) => Math.hypot(...vector)

// Degrees at the corner, which is the second point
function angleOf([a, b, c]) {
  const [u, v] = [between(b, a), between(b, c)]
  const cosine = dot(u, v) / (size(u) * size(v) || 1)
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI
}

// The region as the server is asked for it
export function regionOf(one, { across, down }) {
  const [a, b] = one.points
  const diagonal = between(a, b)
  return {
    shape: one.kind, centre: plus(a, diagonal, 0.5), across, down,
    half_across_mm: Math.abs(dot(diagonal, across)) / 2, half_down_mm: Math.abs(dot(diagonal, down)) / 2, half_depth_mm: (one.depth ?? 0) / 2,
  }
}

export function said(one) {
  if (!isWhole(one)) return `${KINDS[one.kind].title}, not finished`
  if (one.kind === 'measure') return `${size(between(...one.points)).toFixed(1)} mm`
  if (one.kind === 'angle') return `${angleOf(one.points).toFixed(1)}°`
  return one.found ? `${(one.found.area_mm2 / 100).toPrecision(3)} cm²` : '…'
}

// Draw those of the slice that is shown
export function drawMeasures(measures, position, tile, context, frame) {
  context.font = `${13 * tile.scale}px system-ui, sans-serif`
  context.setLineDash([])
  for (const one of measures) {
    if (one.plane !== tile.plane.name || Math.abs(one.points[0][tile.plane.axis] - position[tile.plane.axis]) >= NEAR_MM) continue
    const pixels = one.points.map((point) => frame.toPixel(point))
    for (const [colour, width] of [['rgb(0 0 0 / 70%)', 4], [INK, 1.6]]) {
      context.strokeStyle = colour
      context.lineWidth = width * tile.scale
      context.beginPath()
      outline(one, pixels, context, tile.scale)
      context.stroke()
    }
    const [u, v] = pixels.at(-1)
    context.lineWidth = 3 * tile.scale
    context.strokeStyle = '#000'
    context.strokeText(said(one), u + 6 * tile.scale, v - 6 * tile.scale)
    context.fillStyle = INK
    context.fillText(said(one), u + 6 * tile.scale, v - 6 * tile.scale)
  }
}

function outline(one, pixels, context, scale) {
  const [[x, y]] = pixels
  if (pixels.length === 1) return context.rect(x - 2 * scale, y - 2 * scale, 4 * scale, 4 * scale)
  const [u, v] = pixels.at(-1)
  if (one.kind === 'rectangle') return context.rect(x, y, u - x, v - y)
  if (one.kind === 'ellipse') return context.ellipse((x + u) / 2, (y + v) / 2, Math.abs(u - x) / 2, Math.abs(v - y) / 2, 0, 0, 2 * Math.PI)
  context.moveTo(x, y)
  for (const [a, b] of pixels.slice(1)) context.lineTo(a, b)
  return null
}
