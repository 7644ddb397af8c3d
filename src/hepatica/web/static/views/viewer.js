// The viewer: three planes and 3-D of one image or two side by side, with dose, structures, lines and values.

import * as api from '../api.js'
import { announce, askFor, fill, h, notice, number, problem, table, takeBackLost } from '../dom.js'
import { PLANES, apply, inverse } from '../slicer/geometry.js'
import { isRegion, isWhole, regionOf } from '../slicer/measures.js'
import { Stage } from '../slicer/stage.js'
import { Images, isSame, usualWindow } from '../parts/images.js'
import { Panel } from './viewer-panel.js'

const CURSOR_MS = 60
const LATE_MS = 500 // values of the place before do not stay longer than this

export async function show(main, key) {
  const view = new Viewer(main, key)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.begin()
  return () => view.close()
}

export class Viewer {
  constructor(main, key) {
    this.key = key
    this.images = new Images(key)
    this.stages = [new Stage(this.images.address, 'First image')]
    this.links = new Map()
    this.values = h('div', { role: 'status', 'aria-label': 'Values at the cursor' })
    this.said = h('div', { role: 'status' })
    this.bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': 'Voxels that have come', 'aria-valuemin': 0, 'aria-valuemax': 100 }, h('div'))
    this.about = h('div', { class: 'tile about' })
    this.stages[0].element.append(this.about)
    this.stagesElement = h('div', { class: 'stages' }, this.stages[0].element)
    this.panelElement = h('aside', { class: 'card panel', 'aria-label': 'What is shown' })
    this.element = h('div', { class: 'viewer' }, this.stagesElement, this.panelElement)
    this.main = main
    this.images.told = (shares) => this.progress(shares)
    this.images.came = () => this.stages.forEach((stage) => stage.changedLook())
    this.images.failed = (error) => fill(this.said, problem(error))
  }

  async begin() {
    const { images } = await this.images.list()
    if (!images.length) {
      fill(this.main, h('h1', {}, 'Viewer'), h('p', {}, 'The case has no image yet.'))
      return
    }
    fill(this.main, h('h1', { class: 'unseen' }, 'Viewer'), this.element)
    this.panel = new Panel(this)
    this.follow_ = () => this.listAgain().catch((error) => fill(this.said, problem(error)))
    this.lost_ = () => this.blank('the connection is lost')
    this.back_ = () => this.askAgain()
    window.addEventListener('casechanged', this.follow_)
    window.addEventListener('connectionlost', this.lost_)
    window.addEventListener('connectionback', this.back_)
    this.wire(this.stages[0])
    const anatomy = images.findLast((one) => one.role === 'ct' && one.title.startsWith('Therapy')) ?? images.find((one) => one.role === 'ct') ?? images[0]
    await this.setImage(this.stages[0], anatomy.key)
    const dose = images.find((one) => one.role === 'dose' && one.title.startsWith('Delivered')) ?? images.find((one) => one.role === 'dose')
    if (dose && dose.key !== anatomy.key) this.setOverlay(this.stages[0], dose.key).catch((error) => fill(this.said, problem(error)))
    this.chooseSet(this.stages[0]).catch((error) => fill(this.said, problem(error)))
  }

  // The case changed: what is shown may be out of date by it
  async listAgain() {
    await this.images.list()
    for (const stage of this.stages) {
      if (stage.imageKey && this.images.about(stage.imageKey)) stage.caption = this.images.titleOf(stage.imageKey)
      stage.redraw()
    }
    this.panel.draw()
    this.ask()
  }

  wire(stage) {
    stage.warnings = () => {
      const keys = [stage.imageKey, stage.overlayKey, ...stage.doses.map((dose) => dose.image)].filter(Boolean)
      return [...new Set(keys)].filter((key) => this.images.about(key)?.state).map((key) => this.images.titleOf(key))
    }
    stage.moved = (point, from) => {
      this.movedLast = from
      this.follow(point, from).catch((error) => fill(this.said, problem(error)))
    }
    stage.changed = () => this.panel.draw()
    stage.measured = (one) => this.measure(stage, one).catch((error) => fill(this.said, problem(error)))
    stage.lines.failed = (error) => fill(this.said, problem(error))
  }

  async setImage(stage, key) {
    const before = stage.image
    const doses = [...stage.doses]
    const position = before ? stage.position : null
    const about = this.images.about(key)
    stage.imageKey = key
    const begun = await this.first(stage, about)
    const image = await this.images.open(key, begun)
    if (stage.imageKey !== key) return
    stage.caption = this.images.titleOf(key)
    stage.window = usualWindow(image)
    stage.lines.clear()
    const keeps = before && before.frame === image.frame
    if (!keeps) stage.measures = [] // places of another frame of reference
    stage.show(image)
    if (keeps) stage.moveTo(position, true)
    else if (begun) stage.moveTo(begun, true)
    this.links.clear()
    if (stage.overlayKey) await this.setOverlay(stage, stage.overlayKey)
    for (const dose of doses) await this.setDose(stage, dose.slot, dose.image, dose.levels)
    this.measureAgain(stage)
    this.panel.draw()
    this.ask()
  }

  // One slice of an image of many files, at its own place, until all of it was read; where it lies
  async first(stage, about) {
    if (!about.first || this.images.opened.has(about.key)) return null
    const slice = await this.images.single(about.first)
    stage.window = usualWindow(slice)
    stage.caption = `${about.title}, one slice, the others are read …`
    stage.overlay = null
    stage.doses = []
    stage.show(slice)
    fill(this.about, h('p', { role: 'status' }, 'The other slices are being read …'))
    this.panel.draw()
    return slice.centre
  }

  async setOverlay(stage, key) {
    stage.overlayKey = key || null
    stage.overlay = null
    if (key) {
      const link = await this.images.link(stage.imageKey, key)
      if (!link.matrix) {
        stage.overlayKey = null
        fill(this.said, problem({ message: `${this.images.about(key).title} cannot be laid over it: ${link.said}`, remedy: 'run and check the registration' }))
      } else {
        const volume = await this.images.open(key)
        stage.overlay = volume
        stage.overlayMatrix = isSame(link.matrix) ? null : link.matrix
        stage.overlaySaid = isSame(link.matrix) ? '' : `by ${link.said}${link.accepted ? '' : ', which nobody has accepted yet'}`
        stage.range = [0.05 * volume.high, 0.9 * volume.high]
        if (this.images.about(key).role === 'dose' && !stage.doses.length) await this.setDose(stage, 0, key)
      }
    }
    stage.changedLook()
    this.measureAgain(stage)
    this.panel.draw()
    this.ask()
  }

  async setDose(stage, slot, key, levels = null) {
    stage.doses = stage.doses.filter((dose) => dose.slot !== slot)
    if (key) {
      const link = await this.images.link(stage.imageKey, key)
      if (link.matrix) {
        const volume = await this.images.open(key)
        const given = levels ?? usualLevels(volume.high)
        const map = slot === 0 ? 'inferno' : 'viridis'
        stage.doses.push({ slot, image: key, levels: given, dashed: slot === 1, at: isSame(link.matrix) ? null : stage.imageKey, map, colourOf: Stage.levelColours(map) })
        stage.doses.sort((a, b) => a.slot - b.slot)
      } else fill(this.said, problem({ message: `no isodose lines: ${link.said}`, remedy: 'run and check the registration' }))
    }
    stage.redraw()
    this.panel.draw()
    this.ask()
  }

  // Structures of the frame of reference of the image, the first set that fits unless another is named
  async chooseSet(stage, wanted = null) {
    stage.structures = null
    stage.sets = []
    for (const set of this.images.sets) {
      const found = await this.images.structures(set.key, stage.imageKey)
      if (!found.structures.length) continue
      stage.sets.push(set)
      if (stage.structures || (wanted && set.key !== wanted)) continue
      const styles = new Map(found.structures.map((one) => [one.name, one]))
      const names = found.structures.map((one) => one.name).filter((name) => !/^(body|external)$/i.test(name))
      stage.structures = { key: set.key, on: stage.imageKey, names, styles, messages: found.messages }
    }
    stage.lines.clear()
    stage.redraw()
    this.panel.draw()
    this.ask()
  }

  async compare(on) {
    if (on && this.stages.length === 1) {
      this.tile3d?.close()
      const stage = new Stage(this.images.address, 'Second image')
      this.stages.push(stage)
      this.wire(stage)
      this.stagesElement.append(stage.element)
      this.stagesElement.classList.add('two')
      const first = this.stages[0].imageKey
      const other = this.images.images.find((one) => one.role === 'ct' && one.key !== first) ?? this.images.images.find((one) => one.key !== first)
      await this.setImage(stage, other?.key ?? first)
      await this.chooseSet(stage)
      await this.follow(this.stages[0].position, this.stages[0])
    } else if (!on && this.stages.length === 2) {
      const stage = this.stages.pop()
      stage.close()
      stage.element.remove()
      this.stagesElement.classList.remove('two')
    }
    this.stages[0].redraw()
    this.panel.draw()
  }

  // Move the other image to the same tissue
  async follow(point, from) {
    const other = this.stages.find((stage) => stage !== from)
    if (other?.image) {
      const way = `${this.stages[0].imageKey} ${this.stages[1].imageKey}`
      if (!this.links.has(way)) this.links.set(way, await this.images.link(this.stages[0].imageKey, this.stages[1].imageKey))
      const link = this.links.get(way)
      this.linkSaid = link.said + (link.accepted || !link.matrix ? '' : ', which nobody has accepted yet')
      if (link.matrix) other.moveTo(apply(from === this.stages[0] ? link.matrix : inverse(link.matrix), point), true)
    }
    this.ask()
  }

  // Values at the cursor, from the server, which reads every image's own voxels
  ask() {
    clearTimeout(this.asking)
    this.late ??= setTimeout(() => this.unknown('they are being asked …'), LATE_MS)
    this.asking = setTimeout(() => this.askNow().catch((error) => {
      if (error instanceof api.Lost) this.blank('the connection is lost')
      else this.tell(problem(error))
    }), CURSOR_MS)
  }

  // What stands at the cursor, in the panel and in the tile
  tell(...content) {
    clearTimeout(this.late)
    this.late = null
    fill(this.values, ...content)
    fill(this.about, this.tileContent ?? this.values.cloneNode(true))
  }

  // No value of a place that the cursor has left
  unknown(why) {
    this.answer = null
    const [x, y, z] = this.stages[0].position
    this.tell(h('p', {}, `position, LPS: ${x.toFixed(1)}, ${y.toFixed(1)}, ${z.toFixed(1)} mm`), h('p', {}, h('strong', {}, `Values and structures at the cursor are not known: ${why}`)))
  }

  blank(why) {
    this.turn = (this.turn ?? 0) + 1 // an answer that still comes is of before
    this.unknown(why)
  }

  // The connection is back: all that could not be asked is asked
  askAgain() {
    takeBackLost(this.said)
    this.stages.forEach((stage) => {
      stage.redraw() // lines of the planes that came meanwhile
      this.measureAgain(stage, true)
    })
    const from = this.movedLast ?? this.stages[0]
    if (this.stages.includes(from)) this.follow(from.position, from).catch((error) => fill(this.said, problem(error)))
  }

  async askNow() {
    const stage = this.stages[0]
    if (!stage.image) return null
    const shown = this.stages.flatMap((one) => [one.imageKey, one.overlayKey, ...one.doses.map((dose) => dose.image)])
    const linked = this.links.size === 0 || [...this.links.values()].every((link) => link.matrix)
    const wanted = (linked ? shown : [stage.imageKey, stage.overlayKey, ...stage.doses.map((dose) => dose.image)]).filter(Boolean)
    const asked = { point: stage.position, at: stage.imageKey, images: [...new Set(wanted)], structures: stage.structures?.key ?? null, on: stage.structures?.on ?? null }
    const turn = (this.turn = (this.turn ?? 0) + 1)
    const answer = await api.ask(`${this.images.address}/cursor`, asked)
    if (turn !== this.turn) return answer
    this.answer = answer
    const rows = answer.values.map((one) => [one.title, one.value === null ? 'outside' : `${number(one.value, 4)} ${one.unit}`])
    const [x, y, z] = answer.point
    rows.unshift(['position, LPS', `${x.toFixed(1)}, ${y.toFixed(1)}, ${z.toFixed(1)} mm`])
    rows.push(['inside', answer.structures.join(', ') || 'no structure'])
    this.tell(table('At the cursor', ['what', 'value'], rows))
    return answer
  }

  measureAgain(stage, onlyOpen = false) {
    for (const one of stage.measures) if (isWhole(one) && !(onlyOpen && one.found)) stage.measured(one)
  }

  // What a region holds, of every image that is shown here
  async measure(stage, one) {
    if (!isRegion(one)) return
    one.found = null
    const images = [stage.imageKey, stage.overlayKey, ...stage.doses.map((dose) => dose.image)].filter(Boolean)
    const turn = (one.turn = (one.turn ?? 0) + 1)
    const found = await api.ask(`${this.images.address}/region`, { ...regionOf(one, PLANES.find((plane) => plane.name === one.plane)), at: stage.imageKey, images: [...new Set(images)] })
    if (one.turn !== turn) return
    one.found = found
    stage.redraw()
    this.panel.draw()
  }

  progress(shares) {
    const share = shares.reduce((sum, one) => sum + one, 0) / shares.length
    this.bar.firstChild.style.width = `${100 * share}%`
    this.bar.setAttribute('aria-valuenow', Math.round(100 * share))
    this.bar.hidden = share >= 1
  }

  async open3d() {
    const { Tile3d } = await import('./tile3d.js')
    this.tile3d ??= new Tile3d(this)
    await this.tile3d.open(this.stages[0].overlayKey, this.stages[0].imageKey)
  }

  // The planes as they are, at three times the screen's pixels
  async screenshot() {
    const pictures = this.stages.map((stage) => stage.picture(3))
    const width = pictures.reduce((sum, one) => sum + one.width, 0)
    const canvas = h('canvas')
    const line = 60
    const legends = this.stages.flatMap((stage) => stage.doses.map((dose) => [stage, dose]))
    canvas.width = width
    canvas.height = Math.max(...pictures.map((one) => one.height)) + line * (1 + legends.length)
    const context = canvas.getContext('2d', { alpha: false })
    let x = 0
    for (const one of pictures) {
      context.drawImage(one, x, 0)
      x += one.width
    }
    context.fillStyle = '#f2f5f8'
    context.font = '30px system-ui, sans-serif'
    context.fillText(`${this.description()}  ·  research software, not a medical device`, 12, canvas.height - 20)
    legends.forEach(([stage, dose], n) => this.legend(context, stage, dose, canvas.height - line * (n + 1) - 20))
    return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'))
  }

  // Colour and dashes of each isodose level, in words
  legend(context, stage, dose, y) {
    const side = this.stages.length === 1 ? '' : stage === this.stages[0] ? 'left: ' : 'right: '
    const title = `${side}${this.images.titleOf(dose.image)}, Gy:`
    context.fillText(title, 12, y)
    let x = 30 + context.measureText(title).width
    context.lineWidth = 6
    for (const level of dose.levels) {
      context.strokeStyle = dose.colourOf(level)
      context.setLineDash(dose.dashed ? [14, 8] : [])
      context.beginPath()
      context.moveTo(x, y - 10)
      context.lineTo(x + 60, y - 10)
      context.stroke()
      context.fillText(String(level), x + 70, y)
      x += 90 + context.measureText(String(level)).width
    }
    context.setLineDash([])
  }

  description() {
    return this.stages.map((stage) => {
      const [low, high] = stage.window
      const parts = [stage.caption, `window ${number(low)} to ${number(high)} ${stage.image.unit}${low > high ? ', INVERTED' : ''}`]
      if (stage.overlay) parts.push(`over it ${this.images.titleOf(stage.overlayKey)}, ${number(stage.range[0])} to ${number(stage.range[1])} ${stage.overlay.unit}`)
      for (const dose of stage.doses) parts.push(`lines of ${this.images.titleOf(dose.image)} at ${dose.levels.join(', ')} Gy`)
      parts.push(`at ${stage.position.map((part) => part.toFixed(1)).join(', ')} mm LPS`)
      return parts.join('; ')
    }).join('  |  ')
  }

  // Into the downloads, or into the case, where it stands in the report
  async keepScreenshot() {
    const picture = await this.screenshot()
    const given = await askFor('Keep this picture in the case', [
      { name: 'caption', label: 'What it shows', needed: true, long: true, value: this.description() },
      { name: 'by', label: 'Who keeps it', needed: true }], 'Into the report')
    if (!given) return
    try {
      const kept = await api.change(`${this.images.address}/pictures`, { ...given, png: await base64(picture) })
      fill(this.said, notice('note', `${kept.file} is in the case, and stands in its report.`))
    } catch (error) {
      fill(this.said, problem(error))
    }
  }

  async download() {
    const address = URL.createObjectURL(await this.screenshot())
    h('a', { href: address, download: 'hepatica-planes.png' }).click()
    setTimeout(() => URL.revokeObjectURL(address), 10000)
    announce('The picture is in the downloads')
  }

  close() {
    clearTimeout(this.asking)
    clearTimeout(this.late)
    window.removeEventListener('casechanged', this.follow_)
    window.removeEventListener('connectionlost', this.lost_)
    window.removeEventListener('connectionback', this.back_)
    this.tile3d?.close()
    this.stages.forEach((stage) => stage.close())
    this.images.close()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}

// Levels that a reader expects: round numbers up to the highest dose
export function usualLevels(highest) {
  const known = [10, 20, 30, 50, 70, 100, 120, 150, 205, 300, 400, 600, 800, 1000]
  const found = known.filter((level) => level < 0.95 * highest)
  const wanted = found.filter((level) => [20, 50, 100, 150, 205, 300, 400, 600].includes(level))
  return wanted.length ? wanted.slice(0, 8) : [0.2, 0.5, 0.8].map((share) => Number((share * highest).toPrecision(2)))
}

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  let text = ''
  for (let n = 0; n < bytes.length; n += 32768) text += String.fromCharCode(...bytes.subarray(n, n + 32768))
  return btoa(text)
}
