// Dose-volume histograms, planned and delivered together, linked with one plane of the viewer.

import * as api from '../api.js'
import { choice, fill, h, labelled, notice, number, problem, swatch, table, takeBackLost } from '../dom.js'
import { Stage } from '../slicer/stage.js'
import { chart, doseAt, dosesOf, volumeAt } from '../parts/curves.js'
import { Images } from '../parts/images.js'
import { usualLevels } from './viewer.js'

export async function show(main, key) {
  const about = await api.get(`/api/cases/${key}`)
  const view = new Histograms(main, key, about.treatments)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.open(1)
  view.follow_ = () => view.follow()
  window.addEventListener('casechanged', view.follow_)
  return () => view.close()
}

// What the bands of a structure do not hold, because nobody stated it
function bandLacks(one) {
  const lacks = ['planned', 'delivered'].filter((what) => one[what]?.relative_sd).flatMap((what) => one[what].not_known ?? [])
  return lacks.length ? `, band without ${[...new Set(lacks)].join(', ')}` : ''
}

class Histograms {
  constructor(main, key, treatments) {
    this.key = key
    this.images = new Images(key)
    this.chart = h('div', { class: 'chart' })
    this.read = h('p', { role: 'status', class: 'big' }, ' ')
    this.list = h('div', { class: 'card' })
    this.numbers = h('div', { class: 'card' })
    this.said = h('div', { role: 'status' })
    this.stage = new Stage(this.images.address, 'Where the structure is')
    this.stage.choose(this.stage.tiles[0])
    this.stage.lines.failed = (error) => fill(this.said, problem(error))
    this.images.came = () => this.stage.changedLook()
    this.band = true
    this.hidden = new Set()
    const pick = treatments > 1 ? labelled('Treatment', choice(Array.from({ length: treatments }, (_, n) => [String(n + 1), `treatment ${n + 1}`]), '1', (value) => this.open(Number(value)))) : null
    this.stageElement = h('div', { class: 'stages', style: { height: '20rem' } }, this.stage.element)
    fill(main, h('h1', {}, 'Histograms'), this.said, h('div', { class: 'columns' },
      h('div', {}, h('div', { class: 'card' }, h('div', { class: 'row' }, pick,
        h('label', {}, h('input', { type: 'checkbox', checked: true, onchange: (event) => {
          this.band = event.target.checked
          this.draw()
        } }), ' known uncertainty as a band')), this.chart, this.read), this.numbers),
      h('div', {}, this.stageElement, this.list)))
    this.redraw = () => this.draw()
    window.addEventListener('themechange', this.redraw)
    window.addEventListener('resize', this.redraw)
    this.again = () => {
      takeBackLost(this.said)
      this.stage.redraw()
    }
    window.addEventListener('connectionback', this.again)
  }

  // The case was changed by another tab or the command line: curves of before do not stay as if they were of now
  async follow() {
    const { treatment } = this
    try {
      const found = await api.get(`/api/cases/${this.key}/histograms/${treatment}`)
      if (this.isClosed || treatment !== this.treatment || JSON.stringify(found) === this.mark) return
      this.images.close()
      this.images = new Images(this.key) // a step that ran again has other voxels under the same name
      this.images.came = () => this.stage.changedLook()
      await this.open(treatment)
    } catch (error) {
      if (!this.isClosed && !(error instanceof api.Lost)) fill(this.said, problem(error))
    }
  }

  async open(treatment) {
    this.treatment = treatment
    const answer = await api.get(`/api/cases/${this.key}/histograms/${treatment}`)
    if (this.isClosed || treatment !== this.treatment) return
    this.mark = JSON.stringify(answer)
    this.found = answer
    const stale = this.found.sources.filter((one) => one.state !== 'done')
    fill(this.said, stale.map((one) => notice('critical', `${one.step} is ${one.state}: its curves are not shown`, 'run it again')),
      this.found.sources.length ? null : notice('note', 'Neither plan nor dose of this treatment has histograms yet.', 'run them on the page of the course'))
    const roles = ['tumour', 'liver', 'normal_liver', 'perfused', 'perfused_normal', 'all_tumours']
    const structures = this.found.structures
    const rank = (one) => {
      const role = one.delivered?.role ?? one.planned?.role
      return roles.includes(role) ? roles.indexOf(role) : roles.length
    }
    structures.sort((a, b) => rank(a) - rank(b))
    this.hidden = new Set(structures.slice(6).map((one) => one.name))
    this.draw()
    const reading = h('p', { class: 'quiet', role: 'status' }, 'The plane is being read …')
    this.stageElement.after(reading)
    await this.openStage().catch((error) => fill(this.said, problem(error)))
    reading.remove()
  }

  async openStage() {
    const { images } = await this.images.list()
    const source = this.found.sources.findLast((one) => one.state === 'done')
    const dose = images.find((one) => one.key === source?.image)
    this.stage.overlay = null
    this.stage.doses = []
    this.stage.changedLook()
    if (!dose) return
    const volume = await this.images.open(dose.key)
    let base = null
    for (const one of images.filter((each) => each.role === 'ct')) {
      const link = await this.images.link(one.key, dose.key)
      if (link.said === 'same frame of reference') base = one
    }
    const image = base ? await this.images.open(base.key) : volume
    const { stage } = this
    stage.window = base ? [-160, 240] : [0, volume.high]
    stage.overlay = volume
    stage.range = [0.05 * volume.high, 0.9 * volume.high]
    const levels = usualLevels(volume.high)
    stage.doses = [{ image: dose.key, levels, colourOf: Stage.levelColours('inferno') }]
    stage.show(image)
    for (const set of this.images.sets) {
      const found = await this.images.structures(set.key, base?.key ?? dose.key)
      if (!found.structures.length) continue
      stage.structures = { key: set.key, on: base?.key ?? dose.key, names: null, styles: new Map(found.structures.map((one) => [one.name, one])) }
      break
    }
    stage.redraw()
    const tumour = this.found.structures.find((one) => (one.delivered?.role ?? '') === 'tumour')
    if (tumour) this.light(tumour.name)
  }

  curves() {
    const out = []
    for (const one of this.found.structures) {
      if (this.hidden.has(one.name)) continue
      for (const what of ['planned', 'delivered']) if (one[what]) out.push({ structure: one, what, curve: one[what] })
    }
    return out
  }

  // Doses of all curves, and beyond the highest one as far as a band reaches
  dosesWithBands(curves) {
    const doses = dosesOf(curves.map(({ curve }) => curve))
    const highest = doses.at(-1)
    const beyond = this.band ? curves.flatMap(({ curve }) => (curve.relative_sd ? curve.dose_gy.map((dose) => dose * (1 + curve.relative_sd)) : [])) : []
    return [...doses, ...new Set(beyond.filter((dose) => dose > highest).sort((a, b) => a - b))]
  }

  // A number beside every curve that is there, as in the list: colours alone do not tell all curves apart
  number_(plot) {
    const { ctx: context } = plot
    const size = 12 * devicePixelRatio
    context.save()
    context.font = `bold ${size}px system-ui, sans-serif`
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    context.setLineDash([])
    this.series.forEach((one, n) => {
      if (!one.structure) return
      const place = this.found.structures.findIndex((each) => each.name === one.structure)
      const share = 85 - 17 * (place % 5) - (one.what === 'planned' ? 6 : 0) // so that neighbours do not cover each other
      const dose = doseAt(this.found.structures[place][one.what], share)
      const [x, y] = [plot.valToPos(dose, 'x', true), plot.valToPos(share, 'y', true)]
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--card')
      context.beginPath()
      context.arc(x, y, 0.75 * size, 0, 7)
      context.fill()
      context.strokeStyle = context.fillStyle = one.stroke instanceof Function ? one.stroke() : one.stroke
      context.lineWidth = devicePixelRatio
      context.stroke()
      context.fillText(String(place + 1), x, y)
    })
    context.restore()
  }

  draw() {
    if (!this.found) return
    this.plot?.destroy()
    this.colourOf = new Map(this.found.structures.map((one) => [one.name, one.colour])) // as in every view, whatever the ground
    const curves = this.curves()
    const doses = this.dosesWithBands(curves)
    const data = [doses]
    const series = [{ label: 'dose, Gy' }]
    const bands = []
    const at = (curve, dose) => volumeAt(curve, dose)
    curves.forEach(({ structure, what, curve }) => {
      const colour = this.colourOf.get(structure.name)
      data.push(doses.map((dose) => at(curve, dose)))
      series.push({ label: `${structure.name}, ${what}`, stroke: colour, width: 2, dash: what === 'planned' ? [8, 5] : [], points: { show: false }, structure: structure.name, what })
      if (this.band && curve.relative_sd) {
        for (const sign of [1, -1]) {
          data.push(doses.map((dose) => at(curve, dose / (1 + sign * curve.relative_sd))))
          series.push({ label: '', stroke: 'transparent', width: 0, points: { show: false }, band: true })
        }
        bands.push({ series: [series.length - 2, series.length - 1], fill: `${colour}33` })
      }
    })
    this.series = series
    this.plot = chart(this.chart, {
      data, series, bands, x: 'absorbed dose, Gy', y: 'volume, %', range: [0, 105], height: 420, said: 'Dose-volume histograms',
      cursor: { focus: { prox: 30 }, points: { show: false } }, focus: { alpha: 0.35 },
      hooks: { setSeries: [(plot, n, options) => {
        if (options.focus != null && n) this.light(series[n].structure ?? this.lit)
      }], setCursor: [(plot) => this.told(plot)], draw: [(plot) => this.number_(plot)] },
    })
    this.drawList()
    this.drawNumbers()
  }

  // D and V at the pointer, of the structure that is lit
  told(plot) {
    const { left, top } = plot.cursor
    if (left < 0 || !this.lit) return
    const dose = plot.posToVal(left, 'x')
    const volume = Math.min(100, Math.max(0, plot.posToVal(top, 'y')))
    const one = this.found.structures.find((each) => each.name === this.lit)
    const parts = ['planned', 'delivered'].filter((what) => one?.[what]).map((what) =>
      `${what} V(${number(dose)} Gy) = ${number(volumeAt(one[what], dose))} %, D(${number(volume)} %) = ${number(doseAt(one[what], volume))} Gy`)
    this.read.textContent = parts.length ? `${this.lit}: ${parts.join('; ')}` : ' '
  }

  light(name) {
    if (!name || name === this.lit) return
    this.lit = name
    const drawn = this.found.structures.find((one) => one.name === name)?.drawn
    this.stage.lit = drawn
    this.list.querySelectorAll('li').forEach((row) => row.classList.toggle('lit', row.dataset.structure === name))
    this.centreOn(drawn)
  }

  // Go to the middle of a structure: where its outlines are
  async centreOn(name) {
    const { stage } = this
    if (!stage.image || !stage.structures?.styles.has(name)) return stage.redraw()
    const centre = stage.structures.styles.get(name).centre
    if (centre) stage.moveTo(centre, true)
    else stage.redraw()
  }

  drawList() {
    const lacking = this.found.structures.map(bandLacks)
    const said = lacking.filter(Boolean)
    // What all bands lack is said once, below
    const alike = said.length > 1 && said.every((text) => text === said[0])
    fill(this.list, h('h2', {}, 'Structures'), h('ul', { class: 'plain' }, this.found.structures.map((one, place) => {
      const id = `curve-${one.name.replaceAll(/[^a-zA-Z0-9]/g, '-')}`
      return h('li', { 'data-structure': one.name, class: one.name === this.lit ? 'lit' : null, onmouseenter: () => this.light(one.name) },
        h('input', { type: 'checkbox', id, checked: !this.hidden.has(one.name), onfocus: () => this.light(one.name), onchange: (event) => {
          if (event.target.checked) this.hidden.delete(one.name)
          else this.hidden.add(one.name)
          this.draw()
          document.getElementById(id).focus()
        } }), ' ', swatch(this.colourOf.get(one.name)), h('label', { for: id }, `${place + 1}  ${one.name}`), alike ? '' : h('span', { class: 'quiet' }, lacking[place]))
    })), alike ? h('p', {}, `All bands: ${said[0].slice(2)}.`) : '', h('p', { class: 'quiet' }, 'Solid: delivered; dashed: planned; the numbers at the curves are those of this list. The band holds only what is known of the uncertainty of the mean (k = 1), laid on the dose axis: the truth may lie farther out. What it lacks stands behind the name and in the table; a curve without a band is of a dose of which nothing is known.'))
  }

  drawNumbers() {
    const rows = this.found.structures.flatMap((one, place) => ['planned', 'delivered'].filter((what) => one[what]).map((what) => {
      const numbers = one[what]
      return [`${place + 1}  ${one.name}, ${what}`, numbers.volume_ml ?? '–', numbers.mean_gy ?? '–', numbers.known_sd_gy ?? 'not known', ...[95, 70, 50, 5].map((part) => numbers.voxels_supported === false ? '–' : numbers.d_percent_gy?.[part] ?? doseAt(numbers, part)), [...(numbers.not_known ?? []), ...(numbers.voxels_supported === false ? ['single voxels: mean dose alone'] : [])].join(', ')]
    }))
    fill(this.numbers, h('h2', {}, 'The same in numbers'), table('Doses by structure', ['structure', 'mL', 'mean, Gy', 'known SD, Gy', 'D95, Gy', 'D70, Gy', 'D50, Gy', 'D5, Gy', 'not known'], rows))
  }

  close() {
    this.isClosed = true
    window.removeEventListener('casechanged', this.follow_)
    window.removeEventListener('themechange', this.redraw)
    window.removeEventListener('resize', this.redraw)
    window.removeEventListener('connectionback', this.again)
    this.plot?.destroy()
    this.stage.close()
    this.images.close()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}
