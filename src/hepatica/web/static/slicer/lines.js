// Isodose lines and outlines of a plane, asked of the server; only those of the plane that is shown are drawn.

import * as api from '../api.js'
import { dot, plus } from './geometry.js'

const KEPT = 300
const AT_ONCE = 3
const MARGIN_MM = 4

export class Lines {
  constructor(address, changed) {
    this.address = address
    this.changed = changed
    this.kept = new Map() // signature -> answer
    this.asked = new Map() // signature -> AbortController
    this.wanted = new Map() // plane -> {signature, body}
    this.version = 0
  }

  clear() {
    this.kept.clear()
    for (const one of this.asked.values()) one.abort()
    this.asked.clear()
    this.version++
  }

  // Lines on a plane through a position, over the whole of an image; null until they have come
  on(plane, position, bounds, what) {
    if (!what.doses.length && !what.structures) return null
    const corner = plane.across.map((part, axis) => {
      const direction = part + plane.down[axis]
      return axis === plane.axis ? position[axis] : direction > 0 ? bounds.low[axis] - MARGIN_MM : bounds.high[axis] + MARGIN_MM
    })
    const size = plus(bounds.high, bounds.low, -1)
    const body = {
      origin: corner, across: plane.across, down: plane.down,
      width_mm: Math.abs(dot(size, plane.across)) + 2 * MARGIN_MM, height_mm: Math.abs(dot(size, plane.down)) + 2 * MARGIN_MM,
      ...what,
    }
    const signature = `${plane.name} ${position[plane.axis].toFixed(2)} ${JSON.stringify(what)}`
    if (this.kept.has(signature)) return { origin: corner, ...this.kept.get(signature) }
    this.wanted.set(plane.name, { signature, body })
    this.next()
    return null
  }

  next() {
    for (const [name, { signature, body }] of this.wanted) {
      if (this.asked.size >= AT_ONCE) return
      this.wanted.delete(name)
      if (!this.asked.has(signature) && !this.kept.has(signature)) this.fetch(signature, body)
    }
  }

  async fetch(signature, body) {
    const stop = new AbortController()
    const version = this.version
    this.asked.set(signature, stop)
    try {
      const answer = await api.ask(`${this.address}/lines`, body, stop.signal)
      if (version !== this.version) return
      for (const dose of answer.doses) for (const level of dose.lines) {
          level.path = pathOf(level.lines)
          level.ends = endsOf(level.lines)
        }
      for (const one of answer.structures) one.path = pathOf(one.lines)
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value)
      this.kept.set(signature, answer)
      this.changed()
    } catch (error) {
      if (error.name !== 'AbortError') this.failed?.(error)
    } finally {
      this.asked.delete(signature)
      this.next()
    }
  }
}

// A path in mm, made once and drawn at any zoom
function pathOf(lines) {
  const path = new Path2D()
  for (const line of lines) {
    path.moveTo(line[0], line[1])
    for (let n = 2; n < line.length; n += 2) path.lineTo(line[n], line[n + 1])
  }
  return path
}

// Places on the longest line where its dose may be written: highest, rightmost, lowest, leftmost
function endsOf(lines) {
  const longest = lines.reduce((best, line) => (line.length > best.length ? line : best), [])
  const points = Array.from({ length: longest.length / 2 }, (_, n) => [longest[2 * n], longest[2 * n + 1]])
  const most = (of) => points.reduce((best, point) => (best === null || of(point) > of(best) ? point : best), null)
  return points.length ? [most(([, y]) => -y), most(([x]) => x), most(([, y]) => y), most(([x]) => -x)] : []
}
