// Controls of the viewer.

import { choice, fill, h, labelled, notice, number, swatch, table } from '../dom.js'
import { NAMES, css } from '../slicer/colours.js'
import { KINDS, isRegion, said } from '../slicer/measures.js'
import { WINDOWS } from '../parts/images.js'

// Said beside whatever is shown of a result that is out of date
function stale(viewer, key) {
  const { state } = viewer.images.about(key)
  return state ? h('p', { class: 'notice critical' }, h('strong', {}, `${viewer.images.titleOf(key)}: not to be used`)) : null
}

export class Panel {
  constructor(viewer) {
    this.viewer = viewer
    this.isOpen = { image: true, over: true, lines: true, structures: true }
    this.draw()
  }

  draw() {
    if (this.pending) return
    this.pending = true
    queueMicrotask(() => {
      this.pending = false
      this.drawNow()
    })
  }

  drawNow() {
    const { viewer } = this
    const focused = document.activeElement?.closest?.('.panel') ? document.activeElement.getAttribute('data-name') : null
    fill(viewer.panelElement, viewer.bar, viewer.said, this.tools(), viewer.stages.length === 2 ? this.linkSaid() : null, viewer.stages.map((stage, n) => this.of(stage, n)),
      viewer.stages.length === 2 ? viewer.values : null, this.measures())
    if (focused) viewer.panelElement.querySelector(`[data-name="${focused}"]`)?.focus()
  }

  part(name, title, ...children) {
    return h('details', { open: this.isOpen[name] ?? false, ontoggle: (event) => (this.isOpen[name] = event.target.open) }, h('summary', {}, title), children)
  }

  tools() {
    const { viewer } = this
    const tool = (name, text, hint) => h('button', { type: 'button', 'data-name': `tool-${name}`, title: hint, 'aria-pressed': String(viewer.stages[0].tool === name), onclick: () => {
      viewer.stages.forEach((stage) => (stage.tool = name))
      this.draw()
    } }, text)
    return h('div', { class: 'row', role: 'toolbar', 'aria-label': 'Tools' },
      tool('cursor', 'Cursor', 'left button: move the cursor'), Object.entries(KINDS).map(([name, { title, hint }]) => tool(name, title, hint)), tool('window', 'Window', 'drag across for width, down for level'), tool('pan', 'Move', 'drag the picture'),
      h('button', { type: 'button', 'data-name': 'compare', 'aria-pressed': String(viewer.stages.length === 2), onclick: () => viewer.compare(viewer.stages.length === 1) }, 'Side by side'),
      h('button', { type: 'button', 'data-name': 'three', disabled: viewer.stages.length === 2, title: viewer.stages.length === 2 ? 'with one image alone' : null, onclick: () => viewer.open3d() }, '3-D'),
      h('button', { type: 'button', 'data-name': 'picture', onclick: () => viewer.keepScreenshot() }, 'Picture'),
      h('button', { type: 'button', 'data-name': 'download', onclick: () => viewer.download() }, 'Download'))
  }

  linkSaid() {
    return h('p', { class: 'quiet' }, `Linked: ${this.viewer.linkSaid ?? ''}`)
  }

  of(stage, n) {
    const { viewer } = this
    if (!stage.image) return null
    const two = viewer.stages.length === 2
    const images = viewer.images.images.map((one) => [one.key, one.title + (one.state ? ` (${one.state})` : '')])
    return h('div', {}, two ? h('h2', {}, n === 0 ? 'Left' : 'Right') : null,
      this.part('image', 'Image',
        labelled('Image', choice(images, stage.imageKey, (key) => this.tried(async () => {
          await viewer.setImage(stage, key)
          await viewer.chooseSet(stage)
        }), { 'data-name': `image-${n}` })),
        this.window(stage, n)),
      this.part('over', 'Over it', this.overlay(stage, n, images)),
      this.part('lines', 'Isodose lines', this.doses(stage, n)),
      this.part('structures', 'Structures', this.structures(stage, n)))
  }

  async tried(what) {
    try {
      await what()
    } catch (error) {
      this.viewer.images.failed(error)
    }
  }

  window(stage, n) {
    const { viewer } = this
    const set = (low, high) => {
      stage.window = [low, high]
      stage.changedLook()
    }
    const edge = (at, text) => labelled(text, h('input', { type: 'number', step: 'any', 'data-name': `window-${n}-${at}`, value: Number(stage.window[at].toPrecision(5)), onchange: (event) => {
      const next = [...stage.window]
      next[at] = Number(event.target.value)
      if (next[0] === next[1]) {
        viewer.images.failed({ message: 'black and white of a window are two values', remedy: 'the window is as it was' })
      } else set(...next)
      this.draw()
    } }))
    const isCt = stage.image.kind === 'HU'
    const now = Object.entries(WINDOWS).find(([, [low, high]]) => low === stage.window[0] && high === stage.window[1])?.[0] ?? 'own'
    return [isCt ? labelled('Window', choice([...Object.keys(WINDOWS), 'own'], now, (name) => {
      if (name !== 'own') set(...WINDOWS[name])
      this.draw()
    }, { 'data-name': `preset-${n}` })) : null, h('div', { class: 'numbers' }, edge(0, `black, ${stage.image.unit}`), edge(1, `white, ${stage.image.unit}`)),
      stage.window[0] > stage.window[1] ? notice('warning', 'INVERTED: high values are dark.') : null]
  }

  overlay(stage, n, images) {
    const { viewer } = this
    const out = [labelled('Image', choice([['', 'nothing'], ...images.filter(([key]) => key !== stage.imageKey)], stage.overlayKey ?? '', (key) => this.tried(() => viewer.setOverlay(stage, key)), { 'data-name': `over-${n}` }))]
    if (!stage.overlay) return out
    out.push(stale(viewer, stage.overlayKey))
    if (stage.overlaySaid) out.push(h('p', { class: 'quiet' }, `laid over ${stage.overlaySaid}`))
    const changed = () => stage.changedLook()
    const edge = (at, text) => labelled(text, h('input', { type: 'number', step: 'any', 'data-name': `range-${n}-${at}`, value: Number(stage.range[at].toPrecision(4)), onchange: (event) => {
      const next = [...stage.range]
      next[at] = Number(event.target.value)
      if (next[0] < next[1]) {
        stage.range = next
        changed()
      } else viewer.images.failed({ message: `colours run from a lower value to a higher one, not from ${next[0]} to ${next[1]}`, remedy: 'they are as they were' })
      this.draw()
    } }))
    const shares = [0, 0.25, 0.5, 0.75, 1].map((share) => css(stage.colours, share)).join(', ')
    out.push(
      labelled('Opacity', h('input', { type: 'range', min: 0, max: 1, step: 0.05, 'data-name': `opacity-${n}`, value: stage.opacity, oninput: (event) => {
        stage.opacity = Number(event.target.value)
        changed()
      } })),
      labelled('Colours', choice(NAMES, stage.colours, (name) => {
        stage.colours = name
        changed()
        this.draw()
      }, { 'data-name': `colours-${n}` })),
      h('div', { class: 'scale', style: { background: `linear-gradient(to right, ${shares})` }, role: 'img', 'aria-label': `colours from ${number(stage.range[0])} to ${number(stage.range[1])} ${stage.overlay.unit}` }),
      h('div', { class: 'numbers' }, edge(0, `from, ${stage.overlay.unit}`), edge(1, `to, ${stage.overlay.unit}`)))
    return out
  }

  doses(stage, n) {
    const { viewer } = this
    const doses = viewer.images.images.filter((one) => one.role === 'dose').map((one) => [one.key, viewer.images.titleOf(one.key)])
    if (!doses.length) return h('p', { class: 'quiet' }, 'The case has no dose map yet.')
    return [0, 1].map((slot) => {
      const dose = stage.doses.find((one) => one.slot === slot)
      const out = [labelled(slot === 0 ? 'First dose, solid lines' : 'Second dose, dashed lines', choice([['', 'none'], ...doses], dose?.image ?? '', (key) => this.tried(() => viewer.setDose(stage, slot, key)), { 'data-name': `dose-${n}-${slot}` }))]
      if (dose) {
        out.push(labelled('Levels, Gy', h('input', { type: 'text', inputmode: 'decimal', 'data-name': `levels-${n}-${slot}`, value: dose.levels.join(', '), onchange: (event) => {
          const typed = event.target.value.split(/[,;\s]+/).filter(Boolean)
          const levels = [...new Set(typed.map(Number))].sort((a, b) => a - b)
          if (!levels.length || levels.length > 12 || levels.some((level) => !(level > 0 && level < 1e5))) {
            viewer.images.failed({ message: `isodose levels are 1 to 12 numbers above 0 in Gy, such as 20, 50, 100; not ${event.target.value}`, remedy: 'the levels are as they were' })
            event.target.value = dose.levels.join(', ')
            return
          }
          fill(viewer.said)
          dose.levels = levels
          stage.redraw()
          this.draw()
        } })),
        stale(viewer, dose.image), h('p', {}, dose.levels.map((level) => h('span', { class: 'nowrap' }, swatch(dose.colourOf(level), dose.dashed ? 'dashed' : 'solid'), `${level} `))))
      }
      return out
    })
  }

  structures(stage, n) {
    const { viewer } = this
    const sets = stage.sets ?? []
    if (!sets.length) return h('p', { class: 'quiet' }, 'No structures were drawn in this frame of reference.')
    const set = stage.structures
    const rows = [...(set?.styles.values() ?? [])].map((one) => {
      const id = `structure-${n}-${one.name.replaceAll(/[^a-zA-Z0-9]/g, '-')}`
      return h('li', { class: stage.lit === one.name ? 'lit' : null, onmouseenter: () => this.light(stage, one.name), onmouseleave: () => this.light(stage, null) },
        h('input', { type: 'checkbox', id, 'data-name': id, checked: set.names.includes(one.name), onchange: (event) => {
          set.names = event.target.checked ? [...set.names, one.name] : set.names.filter((name) => name !== one.name)
          stage.redraw()
        } }), ' ', swatch(one.colour, one.dashes), h('label', { for: id }, `${one.name}, ${number(one.volume_ml)} mL`))
    })
    return [labelled('Drawn as', choice(sets.map((one) => [one.key, one.title + (one.proposal ? ' (not accepted)' : '')]), set?.key ?? '', (key) => this.tried(() => viewer.chooseSet(stage, key)), { 'data-name': `set-${n}` })), h('ul', { class: 'plain' }, rows)]
  }

  light(stage, name) {
    stage.lit = name
    stage.redraw()
  }

  measures() {
    const found = this.viewer.stages.flatMap((stage) => stage.measures.map((one) => [stage, one]))
    if (!found.length) return null
    return h('div', {}, h('h3', {}, 'Measured'), h('ul', { class: 'plain' }, found.map(([stage, one], n) => h('li', {}, `${n + 1}. ${KINDS[one.kind].title}, ${one.plane}: ${said(one)} `, h('button', { 'aria-label': `Take measurement ${n + 1} away`, onclick: () => {
      stage.measures = stage.measures.filter((each) => each !== one)
      stage.redraw()
      this.draw()
    } }, '×'), isRegion(one) ? this.region(stage, one, n) : null))))
  }

  // Values in a region, as the server read them from every image's own voxels
  region(stage, one, n) {
    const { found } = one
    const depth = labelled('Thickness, mm', h('input', { type: 'number', min: 0, step: 1, value: one.depth ?? 0, 'data-name': `depth-${n}`, onchange: (event) => {
      one.depth = Math.max(0, Number(event.target.value))
      stage.measured(one, stage)
    } }), one.kind === 'ellipse' ? '0: this slice alone; more: an ellipsoid' : '0: this slice alone; more: a box')
    if (!found) return depth
    const rows = found.values.map((each) => each.count
      ? [each.title, [`${number(each.mean, 4)} ± ${each.sd === null ? '–' : number(each.sd)} ${each.unit}`, h('small', { class: 'block' }, `${number(each.low, 4)} to ${number(each.high, 4)}; ${each.count} voxels`)]]
      : [each.title, each.error])
    const size = found.volume_ml === null ? `${number(found.area_mm2)} mm²` : `${number(found.volume_ml)} mL`
    return [depth, table(`Measurement ${n + 1}: ${size}`, ['image', 'mean ± SD; range'], rows)]
  }
}
