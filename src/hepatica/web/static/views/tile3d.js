// The 3-D tile: NiiVue, loaded only when it is asked for, on a coarse copy of the volume.

import { fill, h, problem } from '../dom.js'

export class Tile3d {
  constructor(viewer) {
    this.viewer = viewer
    this.canvas = h('canvas', { role: 'img', 'aria-label': '3-D view; drag to turn', tabindex: 0, width: 480, height: 400, style: { position: 'static', width: '100%', height: 'calc(100% - 2.4rem)' } })
    this.element = h('div', { style: { height: '100%' } }, h('button', { onclick: () => this.close() }, 'Close 3-D'), this.canvas)
  }

  async open(overlay, image) {
    const warnings = this.viewer.stages[0].warnings()
    this.viewer.tileContent = h('div', { style: { height: '100%' } }, warnings.length ? h('p', { class: 'notice critical' }, h('strong', {}, `${warnings.join(', ')}: not to be used`)) : null, this.element)
    fill(this.viewer.about, this.viewer.tileContent)
    try {
      if (!document.createElement('canvas').getContext('webgl2')) throw new Error('WebGL 2 is not there')
      const { Niivue } = await import('../vendor/niivue.js')
      this.shown?.gl?.getExtension?.('WEBGL_lose_context')?.loseContext()
      this.shown = new Niivue({ dragAndDropEnabled: false, logLevel: 'error', show3Dcrosshair: false, backColor: [0.06, 0.08, 0.1, 1], isSliceMM: true, isOrientCube: true })
      await this.shown.attachToCanvas(this.canvas)
      const address = (key) => `${this.viewer.images.address}/images/${encodeURIComponent(key)}/coarse`
      const stage = this.viewer.stages[0]
      const volumes = [{ url: address(image), name: 'anatomy.nii', colormap: 'gray', cal_min: 100, cal_max: 350, opacity: 1 }]
      if (overlay && !stage.overlayMatrix) volumes.push({ url: address(overlay), name: 'dose.nii', colormap: 'warm', cal_min: stage.range[0], cal_max: 0.5 * stage.range[1], opacity: 1 })
      await this.shown.loadVolumes(volumes)
      this.shown.setRenderAzimuthElevation(160, 10)
      this.shown.setSliceType(this.shown.sliceTypeRender)
      this.isReady = true
    } catch (error) {
      fill(this.element, problem({ message: 'The 3-D tile needs WebGL 2, which this browser does not have here', remedy: 'all else works without it' }),
        h('button', { onclick: () => this.close() }, 'Close 3-D'), h('p', { class: 'quiet' }, String(error.message ?? error)))
    }
  }

  close() {
    this.shown?.gl?.getExtension?.('WEBGL_lose_context')?.loseContext()
    this.shown = null
    this.viewer.tileContent = null
    this.viewer.tile3d = null
    this.viewer.ask()
  }
}
