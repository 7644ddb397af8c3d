// Structures: drawn and changed in three planes, taken back, saved; proposals accepted or refused.

import * as api from '../api.js'
import { announce, askFor, choice, fill, h, instant, labelled, notice, number, problem, swatch, takeBackLost } from '../dom.js'
import { plus } from '../slicer/geometry.js'
import { Lines } from '../slicer/lines.js'
import { Stage } from '../slicer/stage.js'
import { Images, usualWindow } from '../parts/images.js'
import { judgement } from '../parts/proposals.js'

const NORMALS = { axial: [0, 0, 1], coronal: [0, 1, 0], sagittal: [1, 0, 0] }
const LOOK_MS = 3000 // another tab's strokes appear, and this one says that it still draws
const CLOSE_MM = 0.5 // points of a stroke that lie closer are one

export async function show(main, key) {
  const view = new Drawing(main, key)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.begin()
  return () => view.close()
}

class Drawing {
  constructor(main, key) {
    this.key = key
    this.main = main
    this.images = new Images(key)
    this.address = `/api/cases/${key}/drawing`
    this.stage = new Stage(this.images.address, 'Image that is drawn on')
    this.lines = new Lines(this.address, () => this.stage.redraw())
    this.radius = 8
    this.plane = 'axial' // in which slices were drawn last
    this.isBall = false
    this.sketch = null
    this.active = null
    this.stroke = null
    this.queue = Promise.resolve()
    this.said = h('div', { role: 'status' })
    this.panel = h('aside', { class: 'card panel', 'aria-label': 'Drawing' })
    this.images.came = () => this.stage.changedLook()
    this.images.failed = (error) => fill(this.said, problem(error))
    this.lines.failed = this.images.failed
    this.stage.tools = { brush: (...all) => this.paint(...all), erase: (...all) => this.paint(...all), contour: (...all) => this.paint(...all) }
    this.stage.drawMore = (tile, context, frame) => this.drawOver(tile, context, frame)
    this.keys = (event) => this.key_(event)
    this.again = () => {
      takeBackLost(this.said)
      this.stage.redraw() // outlines of planes that came while the connection was lost
    }
    document.addEventListener('keydown', this.keys)
    window.addEventListener('connectionback', this.again)
  }

  async begin() {
    const { images, structures } = await this.images.list()
    this.about = await api.get(`/api/cases/${this.key}`)
    this.sets = structures
    this.bases = images.filter((one) => ['ct', 'mr'].includes(one.role))
    fill(this.main, h('h1', { class: 'unseen' }, 'Structures'), h('div', { class: 'viewer' }, h('div', { class: 'stages' }, this.stage.element), this.panel))
    if (!this.bases.length) return fill(this.main, h('h1', {}, 'Structures'), h('p', {}, 'The case has no CT or MR to draw on.'))
    const sketch = await api.get(this.address).catch((error) => {
      fill(this.said, problem(error)) // one that cannot be read: it is listed, and can be discarded
      return null
    })
    const base = this.bases.find((one) => one.key === sketch?.on) ?? this.bases.findLast((one) => one.title.startsWith('Therapy')) ?? this.bases[0]
    await this.setImage(base.key)
    this.active = sessionStorage.getItem(`hepatica-active-${this.key}`)
    if (sketch) this.take(sketch)
    if (sketch?.restored) fill(this.said, notice('note', `What was drawn and not saved is here again, as it was at ${instant(sketch.restored)} UTC, with its steps back.`))
    await this.listDrafts()
    this.draw()
    this.looking = setInterval(() => this.look(), LOOK_MS)
  }

  async listDrafts() {
    this.drafts = await api.get(`${this.address}/drafts`)
  }

  // What another tab drew; and a sign that this one is there
  async look() {
    if (!this.sketch || this.stroke || document.hidden) return
    const sketch = await api.get(this.address).catch(() => null)
    if (sketch && !this.stroke && (sketch.version !== this.sketch.version || sketch.elsewhere !== this.sketch.elsewhere || sketch.on !== this.sketch.on)) {
      if (sketch.on !== this.imageKey) await this.setImage(sketch.on)
      this.take(sketch)
    }
  }

  async setImage(key) {
    const image = await this.images.open(key)
    this.imageKey = key
    this.stage.window = usualWindow(image)
    this.stage.caption = this.images.about(key).title
    this.stage.show(image)
    this.low ??= 0
    this.high ??= 200
    this.draw()
    this.whyNot = new Map()
    for (const set of this.sets) {
      const found = await this.images.structures(set.key, key).catch((error) => ({ error: error.message }))
      if (this.imageKey !== key) return
      this.whyNot.set(set.key, found.error || '')
      this.draw()
    }
  }

  take(sketch) {
    this.sketch = sketch
    if (!sketch.structures.some((one) => one.name === this.active)) this.active = sketch.structures[0]?.name ?? null
    this.lines.clear()
    this.stage.redraw()
    this.draw()
  }

  // One change after the other, in their order; what cannot be sent is kept and sent again
  send(path, body, words) {
    this.queue = this.queue.then(async () => {
      try {
        const answer = await api.change(`${this.address}${path}`, body)
        this.take(answer)
        fill(this.said, answer.changed === 0 ? notice('warning', 'Nothing was changed by it.', 'see which structure is chosen, and what was asked of it') : null)
        if (words) announce(answer.changed === 0 ? 'Nothing was changed by it' : words)
      } catch (error) {
        fill(this.said, problem(error))
      } finally {
        this.stroke = null
        this.stage.redraw()
      }
    })
    return this.queue
  }

  async start(from, on = this.imageKey) {
    if (on !== this.imageKey) await this.setImage(on)
    await this.send('', { on, start: from })
    await this.listDrafts()
    if (this.sketch?.restored) fill(this.said, notice('note', `This drawing was begun before and not saved: it goes on as it was at ${instant(this.sketch.restored)} UTC. To begin anew, discard it first.`))
    this.draw()
  }

  async discard(one, words) {
    const sure = await askFor(`Discard ${words}?`, [], 'Discard it for good')
    if (!sure) return
    await this.queue
    try {
      await api.change(`${this.address}/discard`, { on: one.on, start: one.start, version: one.version ?? '' })
      if (this.sketch?.on === one.on && this.sketch.from === one.start) this.sketch = null
      await this.listDrafts()
      this.stage.redraw()
      fill(this.said)
      announce('It is discarded')
    } catch (error) {
      fill(this.said, problem(error))
    }
    this.draw()
  }

  paint(tile, point) {
    if (this.sketch?.elsewhere) {
      fill(this.said, problem({ message: 'it is drawn in another tab', remedy: 'go on there, or take it over here' }))
      return null
    }
    if (!this.active || !this.sketch) {
      fill(this.said, problem({ message: 'no structure is chosen', remedy: 'begin a drawing and make or choose a structure' }))
      return null
    }
    const stroke = { tile, points: [point] }
    this.stroke = stroke
    return {
      move: (next) => {
        const far = plus(next, stroke.points.at(-1), -1)
        if (Math.hypot(...far) > CLOSE_MM) stroke.points.push(next)
      },
      end: () => {
        const kind = this.stage.tool === 'contour' ? 'contour' : 'brush'
        if (kind === 'contour' && stroke.points.length < 3) return
        this.plane = tile.plane.name
        this.draw()
        this.send('/stroke', {
          name: this.active, kind, points: stroke.points.slice(0, 5000), radius_mm: this.radius,
          normal: this.isBall && kind === 'brush' ? null : NORMALS[tile.plane.name], erase: this.stage.tool === 'erase',
        })
      },
    }
  }

  drawOver(tile, context, frame) {
    if (this.sketch) {
      const found = this.lines.on(tile.plane, this.stage.position, this.stage.image.bounds, { doses: [], structures: `v${this.sketch.version}` })
      if (found) {
        this.stage.structures = { styles: new Map(this.sketch.structures.map((one) => [one.name, one])) }
        this.stage.lit = this.active
        this.stage.drawLines(context, frame, found)
        this.stage.structures = null
      }
    }
    if (this.stroke?.tile === tile) {
      const contour = this.stage.tool === 'contour'
      context.strokeStyle = this.stage.tool === 'erase' ? 'rgb(255 120 120 / 70%)' : 'rgb(120 230 255 / 60%)'
      context.lineWidth = contour ? 2 * tile.scale : (2 * this.radius) / frame.mmPerPixel
      context.lineCap = context.lineJoin = 'round'
      context.beginPath()
      this.stroke.points.forEach((point, n) => {
        const [x, y] = frame.toPixel(point)
        if (n === 0) context.moveTo(x, y)
        context.lineTo(x + (n === 0 ? 0.01 : 0), y)
      })
      context.stroke()
    }
  }

  draw() {
    const { sketch } = this
    const tool = (name, text, key) => h('button', { type: 'button', 'aria-pressed': String(this.stage.tool === name), title: `key ${key}`, onclick: () => this.setTool(name) }, text)
    fill(this.panel, this.said, this.proposals(),
      labelled('Image that is drawn on', choice(this.bases.map((one) => [one.key, one.title]), this.imageKey, (key) => this.setImage(key))),
      h('div', { class: 'row' }, h('button', { onclick: () => this.start('') }, 'Begin with nothing'),
        this.sets.map((set) => {
          const why = this.whyNot?.get(set.key)
          return h('span', {}, h('button', { disabled: Boolean(why), title: why || null, onclick: () => this.start(set.key) }, `Begin with ${set.title}`), why ? h('small', { class: 'block' }, why) : null)
        })),
      this.unsaved(),
      sketch?.elsewhere ? h('div', { class: 'notice warning', role: 'status' }, h('strong', {}, 'It is drawn in another tab: here it can only be looked at.'),
        h('p', {}, h('button', { onclick: () => this.send('/hold', {}, 'It is drawn here now') }, 'Draw here'))) : null,
      sketch?.not_kept ? notice('critical', `What is drawn is in the memory of hepatica alone: ${sketch.not_kept}`, 'save it as it stands; or choose the image again to go on with what the case holds; or make the folder of the case writable') : null,
      sketch ? [
        h('h2', {}, 'Structures'),
        h('ul', { class: 'plain', role: 'radiogroup', 'aria-label': 'Structure that is drawn' }, sketch.structures.map((one) => {
          const id = `drawn-${one.name.replaceAll(/[^a-zA-Z0-9]/g, '-')}`
          return h('li', {}, h('input', { type: 'radio', name: 'drawn', id, checked: one.name === this.active, onchange: () => {
            this.choose(one.name)
            this.stage.redraw()
          } }), ' ', swatch(one.colour, one.dashes), h('label', { for: id }, `${one.name}, ${number(one.volume_ml)} mL${one.touched ? ', changed' : ''}`))
        })),
        h('div', { class: 'row' }, h('button', { onclick: () => this.make() }, 'New structure')),
        h('div', { class: 'row', role: 'toolbar', 'aria-label': 'Drawing tools' }, tool('cursor', 'Cursor', 'c'), tool('brush', 'Brush', 'b'), tool('erase', 'Erase', 'e'), tool('contour', 'Contour', 'o'),
          h('button', { disabled: !sketch.undo, onclick: () => this.send('/undo', {}, 'Taken back') }, `Undo ${sketch.undo}`), h('button', { disabled: !sketch.redo, onclick: () => this.send('/redo', {}, 'Done again') }, `Redo ${sketch.redo}`)),
        labelled(`Brush, radius ${this.radius} mm`, h('input', { type: 'range', min: 1, max: 40, step: 0.5, 'aria-valuetext': `${this.radius} mm`, value: this.radius, onchange: (event) => {
          this.radius = Number(event.target.value)
          this.draw()
        } })),
        h('label', {}, h('input', { type: 'checkbox', checked: this.isBall, onchange: (event) => (this.isBall = event.target.checked) }), ' as a ball, in all slices'),
        this.ways(),
        h('div', { class: 'row end' }, h('button', { onclick: () => this.discard({ on: sketch.on, start: sketch.from }, 'this drawing') }, 'Discard'), h('button', { class: 'main', disabled: sketch.elsewhere, onclick: () => this.save() }, 'Save into the case')),
      ] : h('p', { class: 'quiet' }, 'Begin with nothing, or with structures that are there.'))
  }

  choose(name) {
    this.active = name
    sessionStorage.setItem(`hepatica-active-${this.key}`, name ?? '')
  }

  // Drawings that were begun and not saved, beside the one that is open
  unsaved() {
    const others = (this.drafts ?? []).filter((one) => one.drawn.length && !(one.on === this.sketch?.on && one.start === this.sketch?.from))
    if (!others.length) return null
    return h('div', {}, h('h3', {}, 'Not saved yet'), h('ul', { class: 'plain' }, others.map((one) => {
      const words = `${one.drawn.join(', ')} (${instant(one.at)} UTC)`
      return h('li', {}, words, ' ', h('button', { 'aria-label': `Go on with ${words}`, onclick: () => this.start(one.start, one.on) }, 'Go on'), ' ', h('button', { 'aria-label': `Discard ${words}`, onclick: () => this.discard(one, words) }, 'Discard'))
    })))
  }

  ways() {
    const within = this.sketch.structures.map((one) => one.name)
    const images = this.images.images.map((one) => [one.key, one.title])
    this.from ??= this.imageKey
    const field = (name, label) => labelled(label, h('input', { type: 'number', step: 'any', value: this[name], onchange: (event) => (this[name] = Number(event.target.value)) }))
    this.reach ??= 40
    this.margin ??= 5
    const shape = (how, more = {}) => this.active && this.send('/shape', { name: this.active, how, ...more }, `${how} is done`)
    const limits = () => ({ image: this.from, low: this.low, high: this.high, within: this.within || null })
    return [h('details', { open: this.open_ ?? false, ontoggle: (event) => (this.open_ = event.target.open) }, h('summary', {}, 'Threshold and grow'),
      labelled('By values of', choice(images, this.from, (key) => (this.from = key))),
      h('div', { class: 'numbers' }, field('low', 'from'), field('high', 'to')),
      labelled('Only inside of', choice([['', 'anywhere'], ...within.map((name) => [name, name])], this.within ?? '', (name) => (this.within = name))),
      field('reach', 'grow no farther than, mm'),
      h('div', { class: 'row' }, h('button', { onclick: () => shape('threshold', limits()) }, 'Threshold'), h('button', { onclick: () => shape('grow', { ...limits(), seed: this.stage.position, reach_mm: this.reach }) }, 'Grow from the cursor'))),
    h('div', { class: 'row' }, field('margin', 'Margin, mm (negative shrinks)'), h('button', { onclick: () => shape('margin', { margin_mm: this.margin }) }, 'Margin'),
      h('button', { onclick: () => shape('clear') }, 'Clear')),
    h('div', { class: 'row' }, labelled('By slices that are', choice(Object.keys(NORMALS), this.plane, (name) => (this.plane = name), { 'data-name': 'plane' })),
      h('button', { onclick: () => shape('fill', { normal: NORMALS[this.plane] }) }, 'Fill holes'), h('button', { onclick: () => shape('between', { normal: NORMALS[this.plane] }) }, 'Slices in between'))]
  }

  proposals() {
    return this.about.proposals.filter((step) => step.startsWith('structures')).map((step) => h('div', {},
      notice('warning', `${step}: proposed structures wait for you`, 'look at them in all planes, then accept or refuse'),
      judgement(this.key, step, 'structures', (what, words) => this.judged(what, words))))
  }

  async judged(what, words) {
    try {
      this.about = await what()
      fill(this.said)
      announce(words)
    } catch (error) {
      fill(this.said, problem(error))
    }
    this.draw()
  }

  async make() {
    const given = await askFor('New structure', [{ name: 'name', label: 'Name', needed: true, hint: 'such as tumour 3, liver, perfused right' }], 'Make it')
    if (!given) return
    await this.send('/new', given)
    if (this.sketch.structures.some((one) => one.name === given.name)) {
      this.choose(given.name)
      this.setTool('brush')
    }
  }

  async save() {
    await this.queue
    const empty = (this.sketch?.structures ?? []).filter((one) => !one.volume_ml).map((one) => one.name)
    const hint = empty.length ? `Nothing is drawn of ${empty.join(', ')}: not saved, SEG and RTSTRUCT hold no empty structure.` : ''
    const given = await askFor('Save into the case', [{ name: 'by', label: 'Who drew it', needed: true }, { name: 'reason', label: 'Why', long: true, hint }], 'Save')
    if (!given) return
    try {
      const saved = await api.change(`${this.address}/save`, given)
      this.sketch = null
      await this.listDrafts()
      this.lines.clear()
      const { structures } = await this.images.list()
      this.sets = structures
      this.draw()
      announce('The structures are saved into the case')
      fill(this.said, notice('note', `Saved as ${saved.role} (${saved.items.join(', ')}); what was made from the old ones is out of date.`), saved.left_out.length ? notice('warning', `Left out, since nothing is drawn of them: ${saved.left_out.join(', ')}.`) : null)
    } catch (error) {
      fill(this.said, problem(error))
    }
  }

  setTool(name) {
    this.stage.tool = name
    this.draw()
  }

  key_(event) {
    if (event.target.closest('input, textarea, select, dialog')) return
    const tool = { c: 'cursor', b: 'brush', e: 'erase', o: 'contour' }[event.key]
    if (tool && !event.ctrlKey) this.setTool(tool)
    else if (event.ctrlKey && event.key === 'z' && this.sketch?.undo) this.send('/undo', {}, 'Taken back')
    else if (event.ctrlKey && event.key === 'y' && this.sketch?.redo) this.send('/redo', {}, 'Done again')
    else return
    event.preventDefault()
  }

  close() {
    document.removeEventListener('keydown', this.keys)
    window.removeEventListener('connectionback', this.again)
    clearInterval(this.looking)
    this.lines.clear()
    this.stage.close()
    this.images.close()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}
