// Colour maps as 256 colours, from 17 anchors of the published tables (matplotlib's inferno, viridis and cividis, CC0):
// lightness rises along each, so that the colour-blind read them too.

const ANCHORS = {
  inferno: '000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4',
  viridis: '440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725',
  cividis: '00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838',
  gray: '000000 101010 202020 303030 404040 505050 606060 707070 808080 909090 a0a0a0 b0b0b0 c0c0c0 d0d0d0 e0e0e0 f0f0f0 ffffff',
}

export const NAMES = Object.keys(ANCHORS)

const made = new Map()

// 256 x 3 bytes of a map
export function table(name) {
  if (!made.has(name)) made.set(name, interpolated(ANCHORS[name].split(' ')))
  return made.get(name)
}

function interpolated(anchors) {
  const rgb = anchors.map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)))
  const out = new Uint8Array(768)
  for (let n = 0; n < 256; n++) {
    const at = (n / 255) * (rgb.length - 1)
    const low = Math.min(rgb.length - 2, Math.floor(at))
    for (let part = 0; part < 3; part++) {
      out[3 * n + part] = Math.round(rgb[low][part] + (at - low) * (rgb[low + 1][part] - rgb[low][part]))
    }
  }
  return out
}

// a colour of a map at a share of its range, as CSS
export function css(name, share) {
  const lut = table(name)
  const n = 3 * Math.max(0, Math.min(255, Math.round(255 * share)))
  return `rgb(${lut[n]}, ${lut[n + 1]}, ${lut[n + 2]})`
}
