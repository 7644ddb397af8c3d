// Dose-volume curves as a chart: what histograms and the plan editor draw alike, and how a curve is read.

import uPlot from '../vendor/uplot.js'
import { fill } from '../dom.js'

// Volume in per cent that gets at least a dose: linear between the points of the table
export function volumeAt({ dose_gy: doses, volume_percent: volumes }, dose) {
  if (dose <= doses[0]) return volumes[0]
  let high = doses.length - 1
  if (dose >= doses[high]) return dose > doses[high] ? 0 : volumes[high]
  let low = 0
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (doses[middle] <= dose) low = middle
    else high = middle
  }
  return volumes[low] + ((dose - doses[low]) / (doses[high] - doses[low])) * (volumes[high] - volumes[low])
}

// Dose that a share of the volume gets at least
export function doseAt({ dose_gy: doses, volume_percent: volumes }, percent) {
  for (let n = 1; n < doses.length; n++) {
    if (volumes[n] > percent) continue
    const share = (volumes[n - 1] - percent) / (volumes[n - 1] - volumes[n] || 1)
    return doses[n - 1] + share * (doses[n] - doses[n - 1])
  }
  return doses.at(-1)
}

// A chart in an element, in the colours of the page; `more` are further options of uPlot. What uPlot cannot say to a
// screen reader, its caller puts into a table.
export function chart(element, { data, series, x, y, range, height, said, ...more }) {
  const style = getComputedStyle(document.documentElement)
  const rule = style.getPropertyValue('--rule')
  const rem = Number.parseFloat(style.fontSize) // larger on a large screen
  const font = `${0.8 * rem}px system-ui, sans-serif`
  const axis = { font, labelFont: `bold ${font}`, stroke: style.getPropertyValue('--ink'), grid: { stroke: rule, width: 1 }, ticks: { stroke: rule } }
  const plot = new uPlot({
    width: Math.max(280, element.clientWidth), height: (height * rem) / 15, legend: { show: false }, series,
    scales: { x: { time: false }, y: range ? { range } : {} }, axes: [{ ...axis, label: x }, { ...axis, label: y, size: 4.4 * rem }], ...more,
  }, data, fill(element))
  const canvas = plot.root.querySelector('canvas')
  canvas.setAttribute('role', 'img')
  canvas.setAttribute('aria-label', `${said}; the same numbers stand in the table`)
  return plot
}

// Doses of all curves, once each, in their order
export const dosesOf = (curves) => [...new Set(curves.flatMap((curve) => curve.dose_gy))].sort((a, b) => a - b)
