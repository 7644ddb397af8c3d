// The log, proved line by line.

import * as api from '../api.js'
import { fill, h, instant, notice, table } from '../dom.js'

export async function show(main, key) {
  const log = await api.get(`/api/cases/${key}/log`)
  const rows = log.lines.toReversed().map((line) => [String(line.number), h('span', { class: 'nowrap' }, instant(line.at)), line.what,
    Object.entries({ ...line.about, ...line.personal }).filter(([name]) => !['digest', 'inputs', 'result', 'run'].includes(name)).map(([name, value]) => `${name}: ${value}`).join('; '),
    h('code', { title: line.hash }, line.hash.slice(0, 12))])
  fill(main, h('h1', {}, 'Log'),
    log.problem ? notice('critical', log.problem, 'restore the log from a backup') : notice('note', `Every line was proved; the last hash is ${log.last}.`),
    table('What happened, the latest first (UTC)', ['line', 'when', 'what', 'about', 'hash'], rows))
  return null
}
