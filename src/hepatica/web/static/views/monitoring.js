// An injection while it is monitored: delivered against planned with its interval, by region, alarms with their reason.
// What is old is never shown as if it were now: neither where the monitor stopped, nor where the connection is gone.

import * as api from '../api.js'
import { announce, fill, h, notice, number, table } from '../dom.js'
import { chart } from '../parts/curves.js'

const ASK_MS = 1000
const LOST_MS = 5000
const SEVERITIES = { stop: 'critical', critical: 'critical', alarm: 'critical', warning: 'warning', note: 'note', info: 'note' }

export async function show(main, key) {
  const view = new Monitoring(main, key)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.begin()
  return () => view.close()
}

class Monitoring {
  constructor(main, key) {
    this.address = `/api/cases/${key}/monitoring`
    this.main = main
    this.answer = null
    this.heard = performance.now() // when the server answered last
    this.alarms = 0
    this.banner = h('div', { role: 'status', class: 'banner' })
    this.delivered = h('section', { class: 'card', 'aria-label': 'Delivered against planned' })
    this.alarmList = h('section', { class: 'card', 'aria-label': 'Alarms' })
    this.chart = h('div', { class: 'chart low' })
    this.regions = h('section', { class: 'card', 'aria-label': 'By region' })
    this.frames = h('section', { class: 'card', 'aria-label': 'Frames' })
    this.body = h('div', { class: 'columns monitor' }, h('div', {}, this.delivered, h('section', { class: 'card' }, h('h2', {}, 'Course of the injection'), this.chart), this.regions), h('div', {}, this.alarmList, this.frames))
    this.redraw = () => this.drawCurve()
    window.addEventListener('themechange', this.redraw)
    window.addEventListener('resize', this.redraw)
  }

  async begin() {
    fill(this.main, h('h1', {}, 'Monitoring'), h('p', { class: 'notice warning' }, h('strong', {}, 'Research and replay only: not for decisions during a treatment.')), this.banner, this.body)
    await this.look()
    this.looking = setInterval(() => this.look(), ASK_MS)
  }

  async look() {
    // A clock of the page itself: where answers stay away, or this tab slept, the page says so without them
    if (this.asking) return this.state()
    this.asking = true
    const stop = new AbortController()
    const late = setTimeout(() => stop.abort(), LOST_MS)
    try {
      const answer = await api.get(this.address, stop.signal)
      if (this.isClosed) return
      this.answer = answer
      this.isReached = true
      this.heard = performance.now()
      if (answer.live) {
        this.seen = performance.now()
        this.draw(answer.live, answer.watch)
      }
    } catch {
      this.isReached = false
    } finally {
      clearTimeout(late)
      this.asking = false
    }
    if (!this.isClosed) this.state()
  }

  // What may be said of now: the file's age when it was read, and how long ago that was
  get age() {
    return (this.answer?.age_s ?? 0) * 1000 + performance.now() - this.heard
  }

  get connection() {
    const said = this.answer?.connection
    if (this.isReached && said === 'none') return this.live ? 'lost' : 'none' // it was there and is gone
    if (this.isReached && said === 'ended') return said
    return said === 'running' && this.isReached && this.age <= LOST_MS ? 'running' : 'lost'
  }

  state() {
    const { connection } = this
    const live = this.answer?.live ?? this.live // what was read last, where nothing can be read now
    const watch = this.answer?.watch ?? null
    const isOld = connection === 'lost' || (connection === 'running' && !watch?.is_current)
    const isMeasured = Boolean(watch?.is_measured)
    const seconds = Math.round((performance.now() - (this.seen ?? this.heard) + (this.answer?.live ? (this.answer.age_s ?? 0) * 1000 : 0)) / 1000)
    const about = `${live?.source ?? ''}, ${live?.agent ?? ''}`
    this.body.hidden = !live
    this.body.classList.toggle('old', isOld)
    const words = {
      none: ['note', 'Nothing is monitored in this case.', ['the monitor writes into the folder of the case while it runs']],
      running: watch?.title
        ? [watch.severity, `${watch.title}${isOld ? ' What stands below is an estimate of before, not how it is.' : ''}`, [...watch.why, `${about}, ${clock(live?.elapsed_s)} since its begin`]]
        : ['note running', `Running: ${about}, ${clock(live?.elapsed_s)} since its begin`, watch?.why ?? []],
      ended: isMeasured
        ? ['note', `Ended after ${clock(live?.elapsed_s)}: ${about}`, watch.why]
        : ['critical', `NOT MEASURED. Ended after ${clock(live?.elapsed_s)}: ${about}. What stands below is the last estimate, no measured value.`, [...(watch?.not_measured ?? []), ...(watch?.why ?? [])]],
      lost: ['critical', `CONNECTION LOST. ${live ? `The last word is ${Math.max(0, seconds)} s old: what stands below is how it was then, not how it is.` : 'Nothing can be said.'}`,
        [this.answer?.error, this.isReached && this.answer?.connection === 'none' ? 'the file of the monitor is not there any more' : null, 'do not rely on this page; look at the patient and at the monitor itself'].filter(Boolean)],
    }[connection]
    const text = JSON.stringify(words)
    const said = `${connection} ${isOld} ${words[0]}`
    if (this.saidState !== said && this.saidState !== undefined) announce(words[1])
    this.saidState = said
    this.banner.dataset.connection = connection
    document.documentElement.dataset.monitoring = connection
    document.documentElement.dataset.watch = connection === 'running' ? (watch?.severity ?? 'critical') : ''
    if (this.shownState === text) return
    this.shownState = text
    const isGrave = words[0] === 'critical'
    fill(this.banner, h('div', { class: `notice ${words[0]}`, role: isGrave ? 'alert' : null }, h('strong', { class: 'big' }, words[1]), words[2].length ? h('ul', { class: 'plain' }, words[2].map((one) => h('li', {}, one))) : null))
  }

  draw(live, watch) {
    const mark = JSON.stringify([live, watch])
    if (mark === this.mark) return
    this.mark = mark
    const { delivered_mbq: delivered, planned_mbq: planned } = live
    const top = Math.max(planned ?? 0, delivered?.high ?? 0, delivered?.value ?? 0) * 1.1 || 1
    const share = (value) => `${(100 * Math.max(0, Math.min(value ?? 0, top))) / top}%`
    const words = `${interval(delivered)} of ${planned === null || planned === undefined ? 'an activity that is not planned' : `${number(planned, 4)} MBq planned`}`
    const isMeasured = Boolean(watch?.is_measured)
    fill(this.delivered, h('h2', {}, isMeasured ? 'Delivered' : 'Last estimate, not measured'), h('p', { class: 'big' }, words),
      live.agent || live.treatment_agent ? h('p', {}, `Watched: ${live.agent || 'an agent that the setup does not name'}${live.treatment_agent ? `; the treatment is of ${live.treatment_agent}` : ''}`) : null,
      (watch?.contradicts ?? []).map((one) => notice('critical', `CONTRADICTION: ${one}.`, 'see whose injection is watched, and by which setup, before any of these numbers is read')),
      isMeasured ? null : notice('warning', `This is no measured activity: ${(watch?.not_measured ?? []).join('; ')}.`),
      h('div', { class: 'gauge', role: 'img', 'aria-label': words },
        h('div', { class: 'gauge-value', style: { width: share(delivered?.value) } }),
        h('div', { class: 'gauge-interval', style: { left: share(delivered?.low), width: `calc(${share(delivered?.high)} - ${share(delivered?.low)})` } }),
        planned ? h('div', { class: 'gauge-mark', style: { left: share(planned) } }) : null),
      h('p', { class: 'quiet' }, `Bar: ${isMeasured ? 'delivered' : 'the estimate'}. Hatched: its 95 % interval. Line: planned. It is the mean of camera and meter by their variances where they agree, else the camera alone; the row "body" of the terminal is the camera alone.`))
    const rows = (live.regions ?? []).map((one) => [one.name, one.kind, interval({ value: one.mbq, low: one.low, high: one.high }), one.limit_mbq === null || one.limit_mbq === undefined ? 'none' : `${number(one.limit_mbq)} MBq`, standing(one)])
    fill(this.regions, h('h2', {}, 'By region'), table('Activity by region', ['region', 'kind', isMeasured ? 'delivered' : 'estimate', 'limit', 'how it stands'], rows))
    this.drawAlarms(live.alarms ?? [])
    const frames = live.frames ?? {}
    fill(this.frames, h('h2', {}, 'Frames'), table('Frames of the source', ['what', 'how many'], [['counts per second', known(live.rate_cps) ? number(live.rate_cps) : '–'], ['seen', frames.seen], ['lost', frames.lost], ['doubled', frames.doubled], ['out of their order', frames.out_of_order], ['alike to the one before', frames.alike], ['overlapping', frames.overlapping], ['unusable', frames.unusable]].map(([name, count]) => [name, String(count ?? '–')])))
    this.live = live
    this.isMeasured = isMeasured
    this.drawCurve()
  }

  drawAlarms(alarms) {
    if (alarms.length > this.alarms) announce(`Alarm: ${alarms.at(-1).sentence}`)
    this.alarms = alarms.length
    fill(this.alarmList, h('h2', {}, `Alarms: ${alarms.length}`), alarms.length ? [...alarms].reverse().map((one) => h('div', {},
      notice(SEVERITIES[one.severity] ?? 'critical', `${clock(one.time_s)}, ${one.kind}: ${one.sentence}`),
      h('p', { class: 'quiet' }, one.certainty !== null && one.certainty !== undefined ? `How sure: ${typeof one.certainty === 'number' ? `${number(100 * one.certainty)} %` : one.certainty}. ` : null, one.ifu ? `Instructions for use: ${one.ifu}` : null)))
      : h('p', {}, 'No alarm was raised so far. That is no proof that all is well.'))
  }

  drawCurve() {
    const { curve, planned_mbq: planned } = this.live ?? {}
    const points = Array.isArray(curve) ? columns(curve) : curve
    this.plot?.destroy()
    this.plot = null
    if (!points?.time_s?.length) return fill(this.chart, h('p', { class: 'quiet' }, 'No course yet.'))
    const style = getComputedStyle(document.documentElement)
    const accent = style.getPropertyValue('--accent').trim()
    const none = { points: { show: false } }
    this.plot = chart(this.chart, {
      data: [points.time_s, points.delivered_mbq, points.low, points.high, points.time_s.map(() => planned ?? null)],
      series: [{ label: 'time' }, { ...none, label: this.isMeasured ? 'delivered' : 'estimate', stroke: accent, width: 2 }, { ...none, label: 'low', stroke: accent, width: 1, dash: [3, 3] }, { ...none, label: 'high', stroke: accent, width: 1, dash: [3, 3] }, { ...none, label: 'planned', stroke: style.getPropertyValue('--warn').trim(), width: 2, dash: [10, 5] }],
      bands: [{ series: [3, 2], fill: `${accent}33` }],
      x: 'time, s', y: this.isMeasured ? 'delivered, MBq' : 'estimate, MBq', height: 260, cursor: { show: false },
      said: `${this.isMeasured ? 'Delivered activity' : 'Estimate, not measured,'} over time with its interval, planned ${number(planned)} MBq`,
    })
    return null
  }

  close() {
    this.isClosed = true
    clearInterval(this.looking)
    delete document.documentElement.dataset.monitoring
    delete document.documentElement.dataset.watch
    window.removeEventListener('themechange', this.redraw)
    window.removeEventListener('resize', this.redraw)
    this.plot?.destroy()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}

const columns = (rows) => Object.fromEntries(['time_s', 'delivered_mbq', 'low', 'high'].map((name) => [name, rows.map((row) => row[name])]))

const known = (value) => typeof value === 'number' && Number.isFinite(value)

function interval(one) {
  if (!known(one?.value)) return 'not known'
  return `${number(one.value, 4)} MBq${known(one.low) && known(one.high) ? ` (${number(one.low, 4)} to ${number(one.high, 4)})` : ', uncertainty not known'}`
}

// Said in words, not by a colour alone. A limit is of all that lies in the region: where what was there before is taken off what was delivered, of the sum
function standing({ held, limit_mbq: limit, ...delivered }) {
  if (!known(limit)) return ''
  const word = against(held ?? delivered, limit)
  return held ? [word, ` by ${interval({ value: held.mbq, low: held.low, high: held.high })} with what was there before`] : word
}

function against({ mbq, low, high }, limit) {
  if (!known(mbq)) return 'not known'
  if (known(low) && low > limit) return h('span', { class: 'state violated' }, 'above')
  if (mbq > limit) return h('span', { class: 'state violated' }, 'above, by its value')
  if (known(high) && high > limit) return h('span', { class: 'state near' }, 'may be above')
  return h('span', { class: 'state' }, known(high) ? 'below' : 'below, by its value')
}

function clock(seconds) {
  if (!known(seconds)) return '–'
  return seconds < 60 ? `${number(seconds)} s` : `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
}
