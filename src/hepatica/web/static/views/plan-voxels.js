// The voxel part of the plan editor: dose map, histograms and doses of structures follow what is edited, in seconds.

import * as api from '../api.js'
import { fill, h, labelled, notice, number, problem, swatch, table, takeBackLost } from '../dom.js'
import { apply } from '../slicer/geometry.js'
import { Stage } from '../slicer/stage.js'
import { chart, dosesOf, volumeAt } from '../parts/curves.js'
import { Images } from '../parts/images.js'
import { usualLevels } from './viewer.js'

const SOON_MS = 350
const MOST_CURVES = 5

export class Voxels {
  constructor(key, address, basis) {
    this.address = address
    this.basis = basis // what the case gave the plan: on another one nothing is computed
    this.images = new Images(key)
    this.made = new Map() // what was asked -> answer
    this.margin = 0
    this.said = h('div', { role: 'status' })
    this.chart = h('div', { class: 'chart low' })
    this.numbers = h('div')
    this.notes = h('div')
    this.stage = new Stage(this.images.address, 'Dose of the edited plan')
    this.stage.lines.failed = (error) => fill(this.said, problem(error))
    this.stage.choose(this.stage.tiles[0])
    this.stageElement = h('div', { class: 'stages short' }, this.stage.element)
    this.element = h('section', { class: 'card' }, h('h2', {}, 'Voxel by voxel'),
      h('p', { class: 'quiet' }, 'The scout scaled to the activity of every territory, by the engine of the plan. Enter in the picture shows all three planes.'),
      labelled('Margin around the tumours, mm', h('input', { type: 'number', min: 0, max: 50, step: 1, value: 0, 'data-name': 'margin', onchange: (event) => {
        this.margin = Number(event.target.value)
        this.want(this.wished)
      } }), 'their dose with so much liver around them; it changes nothing of the plan'),
      this.said, this.stageElement, this.chart, this.numbers, this.notes)
    this.redraw = () => this.draw()
    window.addEventListener('themechange', this.redraw)
    window.addEventListener('resize', this.redraw)
    this.again = () => {
      takeBackLost(this.said)
      if (this.lost) this.want(this.lost)
      this.stage.redraw()
    }
    window.addEventListener('connectionback', this.again)
  }

  // Columns are [name, edits]; the last one is what is edited. Only the last wish counts: one question at a time.
  want(columns, now = false) {
    this.columns = columns
    this.wished = columns // stays where it could not be computed
    this.lost = null
    clearTimeout(this.soon)
    this.element.dataset.state = 'waiting'
    this.soon = setTimeout(() => this.ask(), now ? 0 : SOON_MS)
  }

  signature(edits) {
    return `${this.margin} ${JSON.stringify(edits)}`
  }

  async ask() {
    if (this.asking) return
    this.asking = true
    try {
      // What was wished for meanwhile is done before anything is called ready
      do {
        this.tried = this.columns
        await this.compute()
        if (this.isClosed || !this.found) return
        const { voxel_mm: voxel, messages, image } = this.found
        fill(this.said, this.margin && this.margin < voxel ? notice('warning', `The voxels are ${number(voxel)} mm wide, and a margin is made of whole voxels: one of ${this.margin} mm may hold nothing.`) : null)
        fill(this.notes, messages.map((one) => notice(one.severity, one.text, one.remedy)))
        this.draw()
        await this.show(image)
        if (this.isClosed) return
      } while (this.missing || this.found?.image !== this.shown)
      if (this.found) this.element.dataset.state = 'ready'
    } catch (error) {
      const isWishedAnew = this.columns !== this.tried && this.columns.length
      if (isWishedAnew || this.isClosed) return
      const { columns } = this
      this.clear()
      this.lost = error instanceof api.Lost ? columns : null
      fill(this.said, problem(error))
    } finally {
      this.asking = false
      if (this.columns !== this.tried && this.missing && !this.isClosed) this.want(this.columns)
    }
  }

  // Nothing old stands where something new cannot be computed
  clear() {
    clearTimeout(this.soon)
    this.element.dataset.state = 'failed'
    this.columns = []
    this.shown = null
    this.stage.overlay = null
    this.stage.doses = []
    this.stage.changedLook()
    fill(this.said)
    fill(this.notes)
    this.draw()
  }

  // What was computed for the last column
  get found() {
    const last = this.columns?.at(-1)
    return last && this.made.get(this.signature(last[1]))
  }

  get missing() {
    return this.columns.find(([, edits]) => !this.made.has(this.signature(edits)))
  }

  async compute() {
    for (let next = this.missing; next && !this.isClosed; next = this.missing) {
      fill(this.said, h('p', { class: 'quiet' }, `The dose map of ${next[0]} is being computed …`))
      const begun = performance.now()
      const asked = this.signature(next[1])
      const answer = await api.ask(`${this.address}/voxels`, { edits: next[1], basis: this.basis, margin_mm: this.margin })
      this.took = performance.now() - begun
      this.made.set(asked, answer)
      while (this.made.size > 12) this.made.delete(this.made.keys().next().value)
    }
  }

  async show(key) {
    const { stage } = this
    if (this.shown === key && stage.overlay) return
    const { images } = this.images.images ? { images: this.images.images } : await this.images.list()
    const volume = await this.images.single(key).catch((error) => {
      if (error.status !== 404) throw error
      return null
    })
    if (!volume) {
      // The server keeps the last few maps: this one is computed anew
      for (const [asked, one] of this.made) if (one.image === key) this.made.delete(asked)
      return
    }
    if (this.isClosed || this.found?.image !== key) return
    const before = stage.image ? stage.position : null
    const base = await this.under(images, key)
    if (this.isClosed || this.found?.image !== key) return
    this.shown = key
    stage.window = base ? [-160, 240] : [0, volume.high]
    stage.overlay = volume
    stage.range = [0.05 * volume.high, 0.9 * volume.high]
    stage.doses = [{ image: key, levels: usualLevels(volume.high), colourOf: Stage.levelColours('inferno') }]
    if (!stage.image) stage.show(base ?? volume)
    stage.moveTo(before ?? this.hottest(volume), true)
    stage.changedLook()
  }

  // The CT of the same frame of reference, where there is one
  async under(images, key) {
    if (this.base !== undefined) return this.base
    this.base = null
    for (const one of images.filter((each) => each.role === 'ct')) {
      const link = await this.images.link(one.key, key)
      if (link.said !== 'same frame of reference') continue
      this.images.came = () => this.stage.changedLook()
      this.base = await this.images.open(one.key)
      break
    }
    return this.base
  }

  // Where the dose is highest: the first slice that is shown
  hottest(volume) {
    let best = 0
    for (let n = 0; n < volume.values.length; n++) if (volume.values[n] > volume.values[best]) best = n
    const [i, j] = volume.shape
    return apply(volume.affine, [best % i, Math.floor(best / i) % j, Math.floor(best / (i * j))])
  }

  draw() {
    const columns = (this.columns ?? []).filter(([, edits]) => this.made.has(this.signature(edits)))
    this.plot?.destroy()
    this.plot = null
    fill(this.chart)
    if (!columns.length) return fill(this.numbers)
    const answers = columns.map(([name, edits]) => [name, this.made.get(this.signature(edits)).structures])
    const names = answers.at(-1)[1].map((one) => one.name)
    const rows = names.flatMap((name) => answers.map(([column, structures], n) => {
      const one = structures.find((each) => each.name === name)
      if (!one) return null
      const place = names.indexOf(name)
      return [h('span', {}, place < MOST_CURVES ? swatch(one.colour, n === answers.length - 1 ? 'solid' : 'dashed') : null, answers.length > 1 ? `${name}, ${column}` : name),
        one.volume_ml, one.dose_mean_gy, ...['95', '70', '50', '5'].map((part) => one.d_percent_gy[part] ?? one.d_percent_gy[`${part}.0`] ?? '–')]
    })).filter(Boolean)
    fill(this.numbers, table('Doses by structure, voxel by voxel', ['structure', 'mL', 'mean, Gy', 'D95, Gy', 'D70, Gy', 'D50, Gy', 'D5, Gy'], rows))
    const curves = names.slice(0, MOST_CURVES).flatMap((name) => answers.map(([column, structures], n) => ({ ...structures.find((each) => each.name === name), column, dashed: n < answers.length - 1 }))).filter((one) => one.curve)
    const doses = dosesOf(curves.map((one) => one.curve))
    this.plot = chart(this.chart, {
      data: [doses, ...curves.map((one) => doses.map((dose) => volumeAt(one.curve, dose)))],
      series: [{ label: 'dose' }, ...curves.map((one) => ({ label: `${one.name}, ${one.column}`, stroke: one.colour, width: 2, dash: one.dashed ? [8, 5] : [], points: { show: false } }))],
      x: 'absorbed dose, Gy', y: 'volume, %', range: [0, 105], height: 260, said: `Histograms of ${columns.map(([name]) => name).join(', ')}; ${number(doses.at(-1))} Gy is the highest dose`,
      cursor: { show: false },
    })
  }

  close() {
    this.isClosed = true
    clearTimeout(this.soon)
    window.removeEventListener('themechange', this.redraw)
    window.removeEventListener('resize', this.redraw)
    window.removeEventListener('connectionback', this.again)
    this.plot?.destroy()
    this.stage.close()
    this.images.close()
  }
}
