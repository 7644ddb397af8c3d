// An image on its own grid: described first, then the slices that are looked at, then all of it as it comes.

import * as api from '../api.js'
import { bounds, inverse } from './geometry.js'

const TYPES = { int16: Int16Array, float32: Float32Array }
const FIRST_SLICES = 2
let made = 0

export class Volume {
  constructor(about, address) {
    Object.assign(this, about)
    this.address = address
    this.serial = ++made // tells one from another
    this.toIndex = inverse(about.affine)
    this.bounds = bounds(about.shape, about.affine)
    const Type = TYPES[about.dtype]
    const [i, j, k] = about.shape
    this.values = new Type(i * j * k)
    this.share = 0
  }

  static async open(address) {
    return new Volume(await api.get(address), address)
  }

  get centre() {
    return this.bounds.low.map((low, axis) => (low + this.bounds.high[axis]) / 2)
  }

  // Slices around a position, so that something is seen before everything has come
  async firstSlices(position) {
    const [i, j, k] = this.shape
    const index = this.toIndex[2]
    const at = index[0] * position[0] + index[1] * position[1] + index[2] * position[2] + index[3]
    const first = Math.max(0, Math.min(k - FIRST_SLICES, Math.floor(at)))
    const bytes = await api.bytes(`${this.address}/voxels?first=${first}&count=${FIRST_SLICES}`)
    this.serial = ++made // what was sampled before them is old
    new Uint8Array(this.values.buffer).set(new Uint8Array(bytes), first * i * j * this.values.BYTES_PER_ELEMENT)
  }

  // All voxels; `told` is called with the share that has come
  async stream(told, signal) {
    const response = await api.raw(`${this.address}/voxels`, signal)
    const reader = response.body.getReader()
    const target = new Uint8Array(this.values.buffer)
    let at = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      target.set(value, at)
      at += value.length
      this.share = at / target.length
      told?.(this.share)
    }
    if (at !== target.length) throw new Error(`${this.title}: came cut short`)
  }
}
