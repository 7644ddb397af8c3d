// Images of a case for a view: listed once, opened once, streamed; shared by all stages.

import * as api from '../api.js'
import { Volume } from '../slicer/volume.js'

export const SAME = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]

export class Images {
  constructor(key) {
    this.address = `/api/cases/${key}`
    this.opened = new Map() // key -> promise of a Volume whose voxels come
    this.stop = new AbortController()
    this.again = () => {
      for (const volume of this.volumes?.values() ?? []) if (volume.isBroken) this.streamed(volume)
    }
    window.addEventListener('connectionback', this.again)
    this.told = () => {}
    this.came = () => {}
  }

  async list() {
    const found = await api.get(`${this.address}/images`)
    this.images = found.images
    this.sets = found.structures
    return found
  }

  about(key) {
    return this.images.find((one) => one.key === key)
  }

  // With what is wrong with it: it stands wherever the image is named
  titleOf(key) {
    const one = this.about(key)
    return one.title + (one.state ? ` (${one.state.toUpperCase()})` : '')
  }

  // An image with the slices around a position; the rest comes by itself
  open(key, position = null) {
    if (!this.opened.has(key)) this.opened.set(key, this.begin(key, position).catch((error) => {
      this.opened.delete(key)
      throw error
    }))
    return this.opened.get(key)
  }

  async begin(key, position) {
    const volume = await Volume.open(`${this.address}/images/${encodeURIComponent(key)}`)
    await volume.firstSlices(position ?? volume.centre)
    this.volumes ??= new Map()
    this.volumes.set(key, volume)
    this.streamed(volume)
    return volume
  }

  // All its voxels as they come; once more where they broke off when the connection was lost
  streamed(volume) {
    volume.isBroken = false
    volume.done = volume.stream((share) => {
      this.told([...this.shares()])
      if (share === 1 || performance.now() - (volume.shown ?? 0) > 250) {
        volume.shown = performance.now()
        this.came(volume)
      }
    }, this.stop.signal)
    volume.done.catch((error) => {
      if (error.name === 'AbortError') return
      volume.isBroken = true
      this.failed?.(error)
    })
  }

  // A small image at once, without streaming
  async single(key) {
    const volume = await Volume.open(`${this.address}/images/${encodeURIComponent(key)}`)
    await volume.stream(null, this.stop.signal)
    return volume
  }

  * shares() {
    for (const volume of this.volumes?.values() ?? []) yield volume.share
  }

  // How positions of one image become those of another: {matrix, said, accepted}
  async link(here, there) {
    if (here === there) return { matrix: SAME, said: 'the same image', accepted: true }
    return api.get(`${this.address}/links?here=${encodeURIComponent(here)}&there=${encodeURIComponent(there)}`)
  }

  async structures(set, on) {
    return api.get(`${this.address}/structures/${encodeURIComponent(set)}?on=${encodeURIComponent(on)}`)
  }

  close() {
    window.removeEventListener('connectionback', this.again)
    this.stop.abort()
    this.opened.clear()
    this.volumes?.clear()
  }
}

export const isSame = (matrix) => JSON.stringify(matrix) === JSON.stringify(SAME)

// Windows for CT by what one looks at
export const WINDOWS = {
  'soft tissue': [-160, 240], liver: [-20, 140], lung: [-1350, 150], bone: [-250, 1250], whole: [-1024, 1500],
}

// The window that an image is first seen in
export const usualWindow = (image) => (image.kind === 'HU' ? [...WINDOWS['soft tissue']] : [0, 0.7 * image.high || 1])
