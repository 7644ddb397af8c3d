// Three planes of one patient with their state: what is shown, where the cursor is, and what hands do with them.

import { h } from '../dom.js'
import { PLANES, apply, plus } from './geometry.js'
import { Lines } from './lines.js'
import { css } from './colours.js'
import { KINDS, drawMeasures, isWhole } from './measures.js'
import { Tile } from './tile.js'

const STILL_MS = 160
const LEVELS = [1, 5, 10, 20, 50, 100, 150, 205, 300, 400, 600, 1000] // Gy, evenly spread over the colours of isodose lines
const DASHES = { solid: [], dashed: [7, 4], dotted: [2, 3], dashdot: [8, 3, 2, 3] }

export class Stage {
  constructor(address, name) {
    this.name = name
    this.image = null
    this.overlay = null
    this.overlayMatrix = null
    this.window = [-160, 240]
    this.range = [1, 100]
    this.opacity = 0.5
    this.colours = 'inferno'
    this.doses = [] // {image, levels, dashed}
    this.structures = null // {key, on, names, styles}
    this.lit = null
    this.centre = [0, 0, 0]
    this.position = [0, 0, 0]
    this.zoom = 1
    this.tool = 'cursor'
    this.measures = [] // {kind, plane, points}, see measures.js
    this.version = 0
    this.moved = () => {}
    this.changed = () => {}
    this.measured = () => {}
    this.tiles = PLANES.map((plane) => new Tile(plane, h))
    this.element = h('div', { class: 'stage', role: 'group', 'aria-label': name }, this.tiles.map((tile) => tile.element))
    this.lines = new Lines(address, () => this.redraw())
    this.frames = 0
    this.observer = new ResizeObserver(() => this.redraw())
    this.tiles.forEach((tile) => {
      this.observer.observe(tile.element)
      this.listen(tile)
    })
  }

  close() {
    this.observer.disconnect()
    cancelAnimationFrame(this.waiting)
    clearTimeout(this.still)
    this.lines.clear()
    this.image = this.overlay = null
  }

  // Millimetres of a pixel: the whole image fits at zoom 1, in all planes alike
  mmPerPixel(tile, width, height) {
    if (!this.image) return 1 / this.zoom
    const { low, high } = this.image.bounds
    let fit = 0
    for (const one of this.tiles) {
      if (one.width < 2) continue
      const across = Math.abs(one.plane.across.reduce((sum, part, axis) => sum + part * (high[axis] - low[axis]), 0))
      const down = Math.abs(one.plane.down.reduce((sum, part, axis) => sum + part * (high[axis] - low[axis]), 0))
      fit = Math.max(fit, across / one.width, down / one.height)
    }
    return ((fit || 1) / this.zoom) * (tile.width / width)
  }

  // The plane of a frame in the overlay's own frame of reference
  overlayFrame(frame) {
    const matrix = this.overlayMatrix
    if (!matrix) return frame
    return { origin: apply(matrix, frame.origin), across: apply(matrix, frame.across, 0), down: apply(matrix, frame.down, 0) }
  }

  show(image) {
    this.image = image
    this.centre = image.centre
    this.position = image.centre.slice()
    this.changedLook()
  }

  changedLook() {
    this.version++
    this.redraw()
  }

  moveTo(point, silent = false) {
    if (!this.image) return
    const { low, high } = this.image.bounds
    this.position = point.map((value, axis) => Math.min(high[axis], Math.max(low[axis], value)))
    this.redraw(true)
    if (!silent) this.moved(this.position, this)
  }

  redraw(moving = false) {
    if (moving) {
      this.isMoving = true
      clearTimeout(this.still)
      this.still = setTimeout(() => {
        this.isMoving = false
        this.redraw()
      }, STILL_MS)
    }
    if (this.waiting) return
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0
      this.drawNow()
    })
  }

  drawNow() {
    for (const tile of this.tiles) tile.fit()
    for (const tile of this.tiles) tile.draw(this, this.isMoving)
    this.frames++
    this.drewAt = performance.now()
  }

  what() {
    return {
      doses: this.doses.filter((dose) => dose.levels.length).map(({ image, levels, at }) => ({ image, levels, at: at ?? null })),
      structures: this.structures?.key ?? null,
      on: this.structures?.on ?? null,
      names: this.structures?.names ?? null,
    }
  }

  // Everything above the image: lines, measures, the cursor
  marks(tile, context, frame) {
    if (!this.image) return
    const found = this.lines.on(tile.plane, this.position, this.image.bounds, this.what())
    if (found) this.drawLines(context, frame, found)
    context.lineWidth = tile.scale
    const [x, y] = frame.toPixel(this.position)
    context.strokeStyle = 'rgb(255 255 255 / 55%)'
    context.setLineDash([])
    context.beginPath()
    const gap = 8 * tile.scale
    for (const [ax, ay, bx, by] of [[0, y, x - gap, y], [x + gap, y, tile.width, y], [x, 0, x, y - gap], [x, y + gap, x, tile.height]]) {
      context.moveTo(ax, ay)
      context.lineTo(bx, by)
    }
    context.stroke()
    drawMeasures(this.measures, this.position, tile, context, frame)
    this.drawMore?.(tile, context, frame)
    this.drawWarnings(tile, context)
    const position = this.position[tile.plane.axis]
    tile.corner.textContent = `${tile.plane.name}  ${'xyz'[tile.plane.axis]} ${position.toFixed(1)} mm`
    tile.low.textContent = tile === this.tiles[0] ? this.caption ?? '' : ''
  }

  drawLines(context, frame, found) {
    const [x, y] = frame.toPixel(found.origin)
    const scale = 1 / frame.mmPerPixel
    context.save()
    context.translate(x, y)
    context.scale(scale, scale)
    const pixel = frame.mmPerPixel * (this.tiles[0].scale || 1)
    const stroke = (path, colour, width, dash = []) => {
      context.setLineDash([])
      context.lineWidth = (width + 1.6) * pixel
      context.strokeStyle = 'rgb(0 0 0 / 60%)'
      context.stroke(path)
      context.setLineDash(dash.map((part) => part * pixel))
      context.lineWidth = width * pixel
      context.strokeStyle = colour
      context.stroke(path)
    }
    const isLit = this.lit && found.structures.some((one) => one.name === this.lit)
    for (const one of [...found.structures].sort((a, b) => (a.name === this.lit) - (b.name === this.lit))) {
      const style = this.structures?.styles.get(one.name)
      const colour = style?.colour ?? '#ffffff'
      if (one.name === this.lit) stroke(one.path, '#ffffff', 5.5)
      context.globalAlpha = isLit && one.name !== this.lit ? 0.8 : 1
      stroke(one.path, colour, one.name === this.lit ? 3 : 1.8, one.name === this.lit ? [] : DASHES[style?.dashes] ?? [])
    }
    context.globalAlpha = 1
    for (const dose of found.doses) {
      const own = this.doses.find((each) => each.image === dose.image)
      for (const level of dose.lines) stroke(level.path, own?.colourOf(level.level) ?? '#ffd166', 1.5, own?.dashed ? [5, 4] : [])
    }
    context.restore()
    this.drawLevels(context, frame, found)
  }

  // The dose beside its line: colours of levels that lie close together are alike
  drawLevels(context, frame, found) {
    const size = 11 * (this.tiles[0].scale || 1)
    context.save()
    context.font = `${size}px system-ui, sans-serif`
    context.lineWidth = 3 * (this.tiles[0].scale || 1)
    context.strokeStyle = 'rgb(0 0 0 / 75%)'
    context.setLineDash([])
    const [x, y] = frame.toPixel(found.origin)
    const taken = []
    for (const dose of found.doses) {
      const own = this.doses.find((each) => each.image === dose.image)
      for (const level of dose.lines) {
        const at = level.ends.map(([u, v]) => [x + u / frame.mmPerPixel, y + v / frame.mmPerPixel - 0.3 * size])
          .find((place) => !taken.some((other) => Math.abs(other[0] - place[0]) < 2.6 * size && Math.abs(other[1] - place[1]) < size))
        if (!at) continue
        taken.push(at)
        context.strokeText(String(level.level), ...at)
        context.fillStyle = own?.colourOf(level.level) ?? '#ffd166'
        context.fillText(String(level.level), ...at)
      }
    }
    context.restore()
  }

  // Burned into the picture: what is shown of a result that must not be used any more
  drawWarnings(tile, context) {
    const said = this.warnings?.() ?? []
    const size = 15 * tile.scale
    context.font = `bold ${size}px system-ui, sans-serif`
    said.forEach((text, n) => {
      const y = tile.height - (said.length - n) * 1.6 * size - 1.6 * size
      const width = Math.min(tile.width, context.measureText(text).width + 1.2 * size)
      context.fillStyle = '#8f1020'
      context.fillRect(0, y, width, 1.5 * size)
      context.fillStyle = '#ffffff'
      context.fillText(text, 0.6 * size, y + 1.1 * size, tile.width - size)
    })
  }

  // One more point of what is measured: a new measurement, or the next point of one that is not finished
  mark(plane, point, kind = this.tool) {
    const last = this.measures.at(-1)
    const isOpen = last && !isWhole(last) && last.kind === kind && last.plane === plane.name && Math.abs(last.points[0][plane.axis] - point[plane.axis]) < 1
    if (last && !isWhole(last) && !isOpen) this.measures.pop()
    const one = isOpen ? last : { kind, plane: plane.name, points: [] }
    if (!isOpen) this.measures.push(one)
    one.points.push(point)
    return one
  }

  finish(one) {
    if (isWhole(one)) this.measured(one, this)
    this.changed()
    this.redraw()
  }

  // What mouse, pen, finger and keys do
  listen(tile) {
    const canvas = tile.canvas
    const at = (event) => {
      const box = canvas.getBoundingClientRect()
      return [((event.clientX - box.left) / box.width) * tile.width, ((event.clientY - box.top) / box.height) * tile.height]
    }
    const point = (event) => tile.frame(this).toPoint(...at(event))
    let held = null
    canvas.addEventListener('contextmenu', (event) => event.preventDefault())
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId)
      const tool = event.button === 2 ? 'window' : event.button === 1 || event.shiftKey ? 'pan' : this.tool
      held = { tool, from: [event.clientX, event.clientY], window: [...this.window], centre: [...this.centre] }
      if (tool in KINDS) {
        held.measure = this.mark(tile.plane, point(event), tool)
        held.isFirst = held.measure.points.length === 1
        if (held.isFirst) held.measure.points.push(point(event)) // dragged to where it ends
      }
      else if (tool === 'cursor') this.moveTo(point(event))
      else held.own = this.tools?.[tool]?.(tile, point(event), event)
    })
    canvas.addEventListener('pointermove', (event) => {
      if (!held) return
      const dx = event.clientX - held.from[0]
      const dy = event.clientY - held.from[1]
      if (held.measure) held.measure.points[held.measure.points.length - 1] = point(event)
      else if (held.tool === 'cursor') return this.moveTo(point(event))
      else if (held.tool === 'window') this.setWindow(held.window, dx, dy)
      else if (held.tool === 'pan') this.pan(tile, held.centre, dx, dy)
      else held.own?.move?.(point(event), event)
      this.redraw(true)
    })
    const leave = (event) => {
      held?.own?.end?.(point(event), event)
      const one = held?.measure
      held = null
      if (!one) return
      // A click that drew nothing is the first point of two
      if (one.points.length === 2 && Math.hypot(...plus(one.points[1], one.points[0], -1)) < 0.2) one.points.pop()
      this.finish(one)
    }
    canvas.addEventListener('pointerup', leave)
    canvas.addEventListener('pointercancel', leave)
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault()
      if (event.ctrlKey) this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15)
      else this.scroll(tile.plane, event.deltaY > 0 ? 1 : -1)
    }, { passive: false })
    canvas.addEventListener('keydown', (event) => this.key(tile, event))
    canvas.addEventListener('dblclick', () => this.choose(tile))
  }

  setWindow([low, high], dx, dy) {
    const width = Math.max(1, (high - low) * Math.exp(dx / 300))
    const level = (low + high) / 2 + (dy / 300) * (high - low)
    this.window = [level - width / 2, level + width / 2]
    this.version++
    this.changed()
  }

  pan(tile, centre, dx, dy) {
    const mm = this.mmPerPixel(tile, tile.width, tile.height) * tile.pixelRatio
    this.centre = plus(plus(centre, tile.plane.across, -dx * mm), tile.plane.down, -dy * mm)
  }

  zoomBy(factor) {
    this.zoom = Math.min(20, Math.max(0.5, this.zoom * factor))
    this.redraw(true)
  }

  // One slice: the image's own voxel size along the axis
  scroll(plane, steps) {
    if (!this.image) return
    const axis = plane.axis
    const matrix = this.image.affine
    const size = Math.max(...[0, 1, 2].map((column) => Math.abs(matrix[axis][column])))
    const direction = axis === 2 ? -1 : 1
    const point = this.position.slice()
    point[axis] += direction * steps * size
    this.moveTo(point)
  }

  choose(tile) {
    const alone = this.element.classList.toggle('one')
    this.tiles.forEach((one) => one.element.classList.toggle('chosen', one === tile))
    this.alone = alone ? tile : null
    this.redraw()
  }

  key(tile, event) {
    const far = event.shiftKey ? 10 : 1
    const move = { ArrowLeft: [tile.plane.across, -1], ArrowRight: [tile.plane.across, 1], ArrowUp: [tile.plane.down, -1], ArrowDown: [tile.plane.down, 1] }[event.key]
    if (move) this.moveTo(plus(this.position, move[0], move[1] * far))
    else if (event.key === 'PageUp') this.scroll(tile.plane, -far)
    else if (event.key === 'PageDown') this.scroll(tile.plane, far)
    else if (event.key === '+' || event.key === '=') this.zoomBy(1.15)
    else if (event.key === '-') this.zoomBy(1 / 1.15)
    else if (event.key === '0') this.reset()
    else if (event.key === 'Enter') this.choose(tile)
    else if (event.key === 'm') this.finish(this.mark(tile.plane, [...this.position], this.tool in KINDS ? this.tool : 'measure'))
    else if (event.key === 'Delete' || event.key === 'Backspace') {
      this.measures.pop()
      this.changed()
      this.redraw()
    }
    else if (event.key === '[' || event.key === ']') {
      this.opacity = Math.min(1, Math.max(0, this.opacity + (event.key === ']' ? 0.1 : -0.1)))
      this.changedLook()
      this.changed()
    } else return
    event.preventDefault()
  }

  reset() {
    this.zoom = 1
    if (this.image) this.centre = this.image.centre
    this.redraw()
  }

  // Colour of an isodose level: by its dose, the same in every picture, in a map that stays light
  static levelColours(map) {
    const last = LEVELS.length - 1
    return (level) => {
      const n = LEVELS.findIndex((one) => one >= level)
      const at = n < 0 ? last : n === 0 ? 0 : n - 1 + (level - LEVELS[n - 1]) / (LEVELS[n] - LEVELS[n - 1])
      return css(map, 0.4 + (0.6 * Math.max(0, at)) / last)
    }
  }

  // All planes as one picture, at a multiple of the screen's pixels
  picture(factor) {
    const tiles = this.alone ? [this.alone] : this.tiles
    const before = this.isMoving
    this.isMoving = false
    for (const tile of this.tiles) tile.fit((window.devicePixelRatio || 1) * factor)
    const size = tiles.map((tile) => [tile.width, tile.height])
    const canvas = document.createElement('canvas')
    canvas.width = size.reduce((sum, [width]) => sum + width, 0)
    canvas.height = Math.max(...size.map(([, height]) => height))
    const context = canvas.getContext('2d', { alpha: false })
    let x = 0
    for (const tile of tiles) {
      tile.draw(this, false)
      context.drawImage(tile.canvas, x, 0)
      this.letters(context, tile, x)
      x += tile.width
    }
    for (const tile of this.tiles) tile.fit()
    this.isMoving = before
    this.redraw()
    return canvas
  }

  letters(context, tile, x) {
    context.fillStyle = '#f2f5f8'
    context.font = `bold ${16 * tile.scale}px system-ui, sans-serif`
    const places = { left: [x + 6 * tile.scale, tile.height / 2], right: [x + tile.width - 22 * tile.scale, tile.height / 2], top: [x + tile.width / 2, 18 * tile.scale], bottom: [x + tile.width / 2, tile.height - 8 * tile.scale] }
    for (const [side, [u, v]] of Object.entries(places)) context.fillText(tile.element.querySelector(`.edge.${side}`).textContent, u, v)
    context.font = `${13 * tile.scale}px system-ui, sans-serif`
    context.fillText(tile.corner.textContent, x + 8 * tile.scale, 18 * tile.scale)
  }
}
