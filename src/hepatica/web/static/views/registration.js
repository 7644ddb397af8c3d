// Registration: one image laid over another, nudged by six numbers or by landmarks, kept or refused.

import * as api from '../api.js'
import { announce, askFor, choice, fill, h, labelled, notice, number, problem, table } from '../dom.js'
import { apply, inverse } from '../slicer/geometry.js'
import { Stage } from '../slicer/stage.js'
import { Images, SAME, usualWindow } from '../parts/images.js'
import { judgement } from '../parts/proposals.js'

const DEGREES = Math.PI / 180
const NUDGES = [['x', 'to the left, mm'], ['y', 'to posterior, mm'], ['z', 'to superior, mm'], ['rx', 'turn about left-right, °'], ['ry', 'turn about front-back, °'], ['rz', 'turn about head-foot, °']]

const ODD_TURN = 20
const ODD_SHIFT_MM = 200
const ODD_RESIDUAL_MM = 10

export async function show(main, key) {
  const view = new Registration(main, key)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.begin()
  return () => view.close()
}

class Registration {
  constructor(main, key) {
    this.key = key
    this.main = main
    this.address = `/api/cases/${key}/registrations`
    this.images = new Images(key)
    this.first = new Stage(this.images.address, 'Fixed image with the moving one over it')
    this.second = new Stage(this.images.address, 'Moving image')
    this.nudge = { x: 0, y: 0, z: 0, rx: 0, ry: 0, rz: 0 }
    this.base = SAME
    this.landmarks = [] // {name, fixed, moving}
    this.said = h('div', { role: 'status' })
    this.odd = h('div', { role: 'status' })
    this.panel = h('aside', { class: 'card panel', 'aria-label': 'Registration' })
    this.images.came = () => [this.first, this.second].forEach((stage) => stage.changedLook())
    this.images.failed = (error) => fill(this.said, problem(error))
    this.first.moved = (point) => this.second.moveTo(apply(this.matrix(), point), true)
    this.second.moved = (point) => this.first.moveTo(apply(inverse(this.matrix()), point), true)
    for (const [stage, side] of [[this.first, 'fixed'], [this.second, 'moving']]) stage.drawMore = (tile, context, frame) => this.drawLandmarks(stage, side, tile, context, frame)
  }

  async begin() {
    const { images } = await this.images.list()
    this.about = await api.get(this.address)
    this.case = await api.get(`/api/cases/${this.key}`)
    this.choices = images.filter((one) => ['ct', 'mr'].includes(one.role))
    const moving = this.choices.find((one) => one.title.startsWith('Scout'))
    const fixed = this.choices.find((one) => one.title.startsWith('Therapy'))
    fill(this.main, h('h1', { class: 'unseen' }, 'Registration'), h('div', { class: 'viewer' }, h('div', { class: 'stages two' }, this.first.element, this.second.element), this.panel))
    if (this.choices.length < 2) return fill(this.main, h('h1', {}, 'Registration'), h('p', {}, 'A registration needs two CT or MR images.'))
    this.pair = { fixed: (fixed ?? this.choices[1]).key, moving: (moving ?? this.choices[0]).key }
    await this.open()
  }

  async open() {
    this.landmarks = []
    this.isOpen = false // nothing can be kept of a pair that needs no registration
    this.from = null
    this.reset(false)
    try {
      const [fixed, moving] = await Promise.all([this.images.open(this.pair.fixed), this.images.open(this.pair.moving)])
      const found = await api.ask(`${this.address}/begin`, this.pair)
      this.base = found.matrix
      this.from = found
      for (const [stage, image, name] of [[this.first, fixed, this.pair.fixed], [this.second, moving, this.pair.moving]]) {
        stage.window = usualWindow(image)
        stage.caption = this.images.about(name).title
        stage.show(image)
      }
      this.first.overlay = moving
      this.first.colours = 'viridis'
      this.first.range = moving.kind === 'HU' ? [-250, 300] : [0.05 * moving.high, 0.8 * moving.high]
      this.first.opacity = 0.5
      this.changed()
      fill(this.said)
      this.isOpen = true
    } catch (error) {
      fill(this.said, problem(error))
    }
    this.draw()
  }

  // Fixed to moving: the one that it began from after the nudge, which turns about the middle of the fixed image
  matrix() {
    return product(this.base, inverse(nudged(this.nudge, this.first.image?.centre ?? [0, 0, 0])))
  }

  changed() {
    this.look()
    this.first.overlayMatrix = this.matrix()
    this.first.changedLook()
    if (this.first.image) this.second.moveTo(apply(this.matrix(), this.first.position), true)
  }

  reset(redraw = true) {
    for (const [name] of NUDGES) this.nudge[name] = 0
    if (redraw) {
      this.changed()
      this.draw()
    }
  }

  draw() {
    const images = this.choices.map((one) => [one.key, one.title])
    const pick = (side, label) => labelled(label, choice(images, this.pair[side], (key) => {
      this.pair[side] = key
      this.open()
    }))
    const nudge = ([name, label]) => labelled(label, h('div', { class: 'row' }, h('input', { type: 'range', min: -30, max: 30, step: 0.5, value: this.nudge[name], 'aria-label': label, oninput: (event) => {
      this.nudge[name] = Number(event.target.value)
      event.target.nextElementSibling.value = this.nudge[name]
      this.changed()
    } }), h('input', { type: 'number', step: 0.1, value: this.nudge[name], 'aria-label': `${label}, as a number`, 'data-nudge': name, onchange: (event) => {
      this.nudge[name] = Number(event.target.value)
      event.target.previousElementSibling.value = this.nudge[name]
      this.changed()
    } })))
    fill(this.panel, this.said, this.steps(), pick('fixed', 'Stays'), pick('moving', 'Is laid over it'),
      this.from ? h('p', { class: 'quiet' }, `Begins from: ${this.from.said}${this.from.accepted ? ', accepted' : ''}`) : null,
      labelled('Opacity', h('input', { type: 'range', min: 0, max: 1, step: 0.05, value: this.first.opacity, oninput: (event) => {
        this.first.opacity = Number(event.target.value)
        this.first.changedLook()
      } })),
      h('h2', {}, 'Nudge'), NUDGES.map(nudge), h('div', { class: 'row' }, h('button', { onclick: () => this.reset() }, 'Take the nudge back')),
      h('h2', {}, 'Landmarks'), this.marks(),
      this.odd, h('div', { class: 'row end' }, h('button', { class: 'main', disabled: !this.isOpen, onclick: () => this.keep() }, 'Keep this registration')))
    this.look()
  }

  // What speaks against it, before anybody keeps it
  oddities() {
    if (!this.first.image) return []
    const matrix = this.matrix()
    const { centre } = this.first.image
    const turn = Math.acos(Math.max(-1, Math.min(1, (matrix[0][0] + matrix[1][1] + matrix[2][2] - 1) / 2))) / DEGREES
    const far = Math.hypot(...apply(matrix, centre).map((part, axis) => part - this.second.image.centre[axis]))
    const off = this.off()
    return [
      turn > ODD_TURN ? `It turns the image by ${number(turn)}°: no patient lies so; are landmarks swapped?` : null,
      far > ODD_SHIFT_MM ? `The middles of the two images come to lie ${number(far)} mm apart.` : null,
      off > ODD_RESIDUAL_MM ? `The landmarks are off by up to ${number(off)} mm: are they the same tissue?` : null,
    ].filter(Boolean)
  }

  // How far the landmarks are off by what is shown now; null without any
  off() {
    const whole = this.landmarks.filter((one) => one.fixed && one.moving)
    const matrix = this.matrix()
    return whole.length ? Math.max(...whole.map((one) => Math.hypot(...apply(matrix, one.fixed).map((part, axis) => part - one.moving[axis])))) : null
  }

  look() {
    fill(this.odd, this.isOpen ? this.oddities().map((text) => notice('warning', text)) : null)
  }

  steps() {
    return this.about.steps.filter((one) => one.state === 'done').map((one) => h('div', {},
      notice(one.checked_by ? 'note' : 'warning', `${one.step}: ${one.checked_by ? `accepted by ${one.checked_by}` : 'waits until somebody has looked at it'}`),
      one.messages.map((said) => notice(said.severity, said.text, said.remedy)),
      judgement(this.key, one.step, 'registration', (what, words) => this.done(what, words), Boolean(one.checked_by))))
  }

  marks() {
    return [h('p', { class: 'quiet' }, 'Put the cursor on the same tissue in both images: first the fixed one, then the moving one.'),
      h('div', { class: 'row' }, h('button', { onclick: () => this.place('fixed') }, 'Mark in the fixed image'), h('button', { onclick: () => this.place('moving') }, 'Mark in the moving image'), h('button', { disabled: this.landmarks.filter((one) => one.fixed && one.moving).length < 3, onclick: () => this.fit() }, 'Fit')),
      this.landmarks.length ? table('Landmarks', ['name', 'fixed', 'moving', 'off, mm', ''], this.landmarks.map((one) => [one.name, place(one.fixed), place(one.moving), one.off === undefined ? '–' : `${number(one.off)}`, h('button', { 'aria-label': `Take landmark ${one.name} away`, onclick: () => {
        this.landmarks = this.landmarks.filter((each) => each !== one)
        this.draw()
        this.changed()
      } }, '×')])) : null]
  }

  place(side) {
    const stage = side === 'fixed' ? this.first : this.second
    const open = this.landmarks.find((one) => !one[side])
    if (open) open[side] = [...stage.position]
    else this.landmarks.push({ name: String(this.landmarks.length + 1), [side]: [...stage.position] })
    this.draw()
    this.first.redraw()
    this.second.redraw()
  }

  async fit() {
    const whole = this.landmarks.filter((one) => one.fixed && one.moving)
    const side = (name) => Object.fromEntries(whole.map((one) => [one.name, one[name]]))
    try {
      const found = await api.ask(`${this.address}/landmarks`, { fixed: side('fixed'), moving: side('moving') })
      this.base = found.matrix
      for (const one of whole) one.off = found.residual_mm[one.name]
      this.from = { said: `${whole.length} landmarks`, accepted: false }
      this.reset()
    } catch (error) {
      fill(this.said, problem(error))
    }
  }

  drawLandmarks(stage, side, tile, context, frame) {
    context.font = `${13 * tile.scale}px system-ui, sans-serif`
    for (const one of this.landmarks) {
      if (!one[side] || Math.abs(one[side][tile.plane.axis] - stage.position[tile.plane.axis]) > 5) continue
      const [x, y] = frame.toPixel(one[side])
      context.strokeStyle = context.fillStyle = '#ffd166'
      context.lineWidth = 2 * tile.scale
      context.setLineDash([])
      context.beginPath()
      context.arc(x, y, 6 * tile.scale, 0, 7)
      context.stroke()
      context.fillText(one.name, x + 9 * tile.scale, y)
    }
  }

  async keep() {
    const hint = this.oddities().join(' ')
    const given = await askFor('Keep this registration', [{ name: 'by', label: 'Who found it good', needed: true }, { name: 'reason', label: 'Why it is kept', needed: true, long: true, hint }], 'Keep it')
    if (!given) return
    await this.done(() => api.change(`${this.address}/keep`, { ...this.pair, ...given, matrix: this.matrix(), landmarks_off_mm: this.off() }), 'It is in the case; steps that stand on the old one are out of date.')
  }

  async done(what, words) {
    try {
      await what()
      this.about = await api.get(this.address)
      await this.open() // from what is in the case now
      announce(words)
      fill(this.said, notice('note', words))
    } catch (error) {
      fill(this.said, problem(error))
    }
  }

  close() {
    this.first.close()
    this.second.close()
    this.images.close()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}

const place = (point) => (point ? point.map((part) => number(part, 4)).join(', ') : '–')

export function product(a, b) {
  return [0, 1, 2, 3].map((r) => [0, 1, 2, 3].map((c) => a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c] + a[r][3] * b[3][c]))
}

// The moving image's content moved by so much in the fixed frame, turned about a centre
export function nudged({ x, y, z, rx, ry, rz }, centre) {
  const turn = (angle, a, b) => {
    const matrix = SAME.map((row) => [...row])
    matrix[a][a] = matrix[b][b] = Math.cos(angle * DEGREES)
    matrix[a][b] = -Math.sin(angle * DEGREES)
    matrix[b][a] = Math.sin(angle * DEGREES)
    return matrix
  }
  const turned = product(turn(rz, 0, 1), product(turn(ry, 2, 0), turn(rx, 1, 2)))
  const moved = apply(turned, centre)
  return turned.map((row, n) => (n === 3 ? row : [row[0], row[1], row[2], centre[n] - moved[n] + [x, y, z][n]]))
}
