// One plane on a canvas: an image, another one over it in colours, lines, marks, and the patient's sides.

import { table } from './colours.js'
import { Frame, letter } from './geometry.js'
import { OUTSIDE, sample } from './sample.js'

const OPAQUE = 0xff000000
const BLACK = OPAQUE
const WIDE_PIXELS = 2000 // on a wider screen lines and letters grow with it
const QUICK_PIXELS = 600000 // above it a plane is drawn at half resolution while something moves

export class Tile {
  constructor(plane, h) {
    this.plane = plane
    this.canvas = h('canvas', { tabindex: 0, role: 'img', 'aria-label': `${plane.name} plane`, 'aria-roledescription': 'slice of the patient; arrow keys move the cursor' })
    this.context = this.canvas.getContext('2d', { alpha: false })
    this.picture = document.createElement('canvas')
    this.pictureContext = this.picture.getContext('2d', { alpha: false })
    const edge = (side, direction) => h('span', { class: `edge ${side}`, 'aria-hidden': 'true' }, letter(direction))
    const turned = (direction) => direction.map((part) => -part)
    this.corner = h('span', { class: 'corner', 'aria-hidden': 'true' })
    this.low = h('span', { class: 'corner low', 'aria-hidden': 'true' })
    this.element = h('div', { class: 'tile' }, this.canvas,
      edge('left', turned(plane.across)), edge('right', plane.across), edge('top', turned(plane.down)), edge('bottom', plane.down),
      this.corner, this.low)
    this.ratio = 1
    this.drawn = ''
    this.width = 0
    this.height = 0
  }

  // The canvas as large as its place on the screen, in the screen's own pixels
  fit(scale = window.devicePixelRatio || 1) {
    const box = this.element.getBoundingClientRect()
    const width = Math.max(1, Math.round(box.width * scale))
    const height = Math.max(1, Math.round(box.height * scale))
    this.pixelRatio = scale
    this.scale = Math.max(scale, (scale * window.innerWidth) / WIDE_PIXELS)
    if (width === this.width && height === this.height) return
    this.width = this.canvas.width = width
    this.height = this.canvas.height = height
    this.drawn = ''
  }

  buffers(width, height) {
    if (this.picture.width === width && this.picture.height === height && this.image) return
    this.picture.width = width
    this.picture.height = height
    this.image = this.pictureContext.createImageData(width, height)
    this.pixels = new Uint32Array(this.image.data.buffer)
    this.base = new Float32Array(width * height)
    this.over = new Float32Array(width * height)
  }

  frame(view, width = this.width, height = this.height) {
    const mm = view.mmPerPixel(this, width, height)
    return new Frame(this.plane, view.centre, view.position, mm, width, height)
  }

  // Draw what a view shows. `moving`: at half resolution on a large screen.
  draw(view, moving) {
    if (this.width < 2 || this.height < 2) return
    const ratio = moving && this.width * this.height > QUICK_PIXELS ? 2 : 1
    const frame = this.frame(view)
    const signature = `${frame.origin} ${frame.mmPerPixel} ${this.width} ${this.height} ${ratio} ${view.version}`
    if (signature !== this.drawn) {
      this.paint(view, ratio)
      this.drawn = signature
    }
    const context = this.context
    context.imageSmoothingEnabled = true
    if (ratio === 1) context.drawImage(this.picture, 0, 0)
    else context.drawImage(this.picture, 0, 0, this.width, this.height)
    view.marks(this, context, frame)
  }

  // Sampling is what takes time: a change of window, colours or opacity does without it
  sampleOnce(view, frame, width, height) {
    const { image, overlay } = view
    const about = (volume) => (volume ? `${volume.serial} ${volume.share}` : 'nothing')
    const signature = `${frame.origin} ${frame.mmPerPixel} ${width} ${height} ${about(image)} ${about(overlay)} ${view.overlayMatrix}`
    if (signature === this.sampledAs) return
    this.sampledAs = signature
    if (image) sample(image, frame, width, height, this.base)
    else this.base.fill(OUTSIDE)
    if (overlay) sample(overlay, view.overlayFrame(frame), width, height, this.over)
  }

  paint(view, ratio) {
    const width = Math.ceil(this.width / ratio)
    const height = Math.ceil(this.height / ratio)
    this.buffers(width, height)
    const frame = this.frame(view, width, height)
    const { pixels, base, over } = this
    const { image, overlay } = view
    const count = width * height
    const [low, high] = view.window
    const gain = 255 / (high - low || 1)
    this.sampleOnce(view, frame, width, height)
    if (!overlay) {
      for (let n = 0; n < count; n++) {
        const value = (base[n] - low) * gain
        const grey = value < 0 ? 0 : value > 255 ? 255 : value | 0
        pixels[n] = base[n] === OUTSIDE ? BLACK : OPAQUE | (grey << 16) | (grey << 8) | grey
      }
    } else {
      const lut = table(view.colours)
      const [from, to] = view.range
      const steps = 255 / (to - from || 1)
      const alpha = view.opacity
      const rest = 1 - alpha
      for (let n = 0; n < count; n++) {
        const value = (base[n] - low) * gain
        const grey = value < 0 ? 0 : value > 255 ? 255 : value
        const share = over[n]
        if (share < from || share === OUTSIDE) {
          const flat = grey | 0
          pixels[n] = OPAQUE | (flat << 16) | (flat << 8) | flat
          continue
        }
        let at = ((share - from) * steps) | 0
        if (at > 255) at = 255
        at *= 3
        const red = rest * grey + alpha * lut[at]
        const green = rest * grey + alpha * lut[at + 1]
        const blue = rest * grey + alpha * lut[at + 2]
        pixels[n] = OPAQUE | (blue << 16) | (green << 8) | red
      }
    }
    this.pictureContext.putImageData(this.image, 0, 0)
  }
}
