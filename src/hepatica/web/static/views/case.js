// One case: its steps with their state, what is open, who checked; run, stop, check, leave out; facts and images.

import * as api from '../api.js'
import { announce, askFor, choice, fill, h, notice, problem, table } from '../dom.js'

const LOOK_MS = 700

export async function show(main, key) {
  let timer = null
  let about = await api.get(`/api/cases/${key}`)
  const head = h('div')
  const steps = h('section', { class: 'card' })
  const run = h('section', { class: 'card', 'aria-label': 'Run' })
  const side = h('div')
  const said = h('div', { role: 'status' })
  fill(main, head, said, h('div', { class: 'columns course' }, h('div', {}, run, steps), side))

  const act = async (what, words) => {
    try {
      about = await what()
      fill(said)
      draw()
      if (words) announce(words)
    } catch (error) {
      fill(said, problem(error))
    }
  }

  function draw() {
    const disease = [about.disease.indication, about.disease.stage, about.disease.description].filter(Boolean).join(', ')
    const open = about.steps.filter((step) => ['out of date', 'failed', 'ready'].includes(step.state))
    fill(head, h('h1', {}, 'Course'), h('p', {}, disease || 'the disease is not stated'),
      about.messages.map((one) => notice(one.severity, one.text, one.remedy)),
      about.proposals.map((step) => notice('warning', `${step}: a proposal that waits until somebody has looked at it`, `look at it under ${step.startsWith('reg') ? 'Registration' : 'Structures'}, then check it`)),
      open.length ? h('p', {}, h('strong', {}, 'Open: '), open.map((step) => step.title).join(', ')) : h('p', {}, 'Nothing is open that could be run.'))
    fill(steps, h('h2', {}, 'Steps'), stepTable())
    fill(side, facts(), images())
    drawRun(about.run)
  }

  function stepTable() {
    const rows = about.steps.map((step) => [
      h('span', {}, step.title, step.treatment_number > 1 ? ` (treatment ${step.treatment_number})` : ''),
      h('span', { class: `state ${step.state.split(' ')[0]}` }, step.state),
      h('span', {}, [...step.reasons, step.said].filter(Boolean).join('; ')),
      step.checked_by,
      h('span', { class: 'row' }, buttons(step)),
    ])
    return table('Steps of the course', ['step', 'state', 'why', 'checked by', 'what can be done'], rows)
  }

  function buttons(step) {
    const running = about.run?.state === 'running'
    const out = []
    if (['ready', 'out of date', 'failed', 'skipped'].includes(step.state) && !step.said.startsWith('not needed')) {
      out.push(h('button', { disabled: running, 'aria-label': `Run ${step.name}`, onclick: () => start([step.name]) }, step.state === 'ready' ? 'Run' : 'Run again'))
    }
    if (step.state === 'done' && !step.checked_by) out.push(h('button', { 'aria-label': `Check ${step.name}`, onclick: () => check(step) }, 'Check'))
    if (step.state === 'done') out.push(h('button', { 'aria-label': `See ${step.name}`, onclick: () => see(step) }, 'See'))
    if (['ready', 'waiting', 'out of date', 'failed'].includes(step.state)) out.push(h('button', { 'aria-label': `Leave out ${step.name}`, onclick: () => skip(step) }, 'Leave out'))
    return out
  }

  async function check(step) {
    const given = await askFor(`Check ${step.title}`, [{ name: 'by', label: 'Who checked it', needed: true, hint: 'a claim: there is no log-in. It falls when the result changes.' }], 'I checked it')
    if (given) await act(() => api.change(`/api/cases/${key}/steps/${step.name}/check`, given), `${step.title} is checked`)
  }

  async function skip(step) {
    const given = await askFor(`Leave out ${step.title}`, [{ name: 'reason', label: 'Why', needed: true, long: true }], 'Leave it out')
    if (given) await act(() => api.change(`/api/cases/${key}/steps/${step.name}/skip`, given), `${step.title} is left out`)
  }

  async function see(step) {
    const found = await api.get(`/api/cases/${key}/steps/${step.name}`)
    const address = (name) => `/api/cases/${key}/steps/${step.name}/files/${encodeURIComponent(name)}`
    const dialog = h('dialog', { 'aria-labelledby': 'see-title' },
      h('h2', { id: 'see-title' }, step.title),
      found.messages.map((one) => notice(one.severity, one.text, one.remedy)),
      h('h3', {}, 'Files'), h('ul', {}, found.files.map((name) => h('li', {}, h('a', { href: address(name), target: '_blank', rel: 'noopener' }, name)))),
      h('h3', {}, 'Made from'), h('ul', {}, found.inputs.map((one) => h('li', {}, `${one.option}: ${one.source}`))),
      h('div', { class: 'row end' }, h('button', { class: 'main', onclick: () => dialog.close() }, 'Close')))
    dialog.addEventListener('close', () => dialog.remove())
    document.body.append(dialog)
    dialog.showModal()
  }

  async function start(names) {
    await act(async () => {
      await api.change(`/api/cases/${key}/run`, { steps: names })
      return api.get(`/api/cases/${key}`)
    }, 'It runs')
  }

  function drawRun(state) {
    const running = state?.state === 'running'
    const due = about.steps.some((step) => ['ready', 'out of date'].includes(step.state))
    fill(run, h('div', { class: 'row' },
      h('button', { class: 'main', disabled: running || !due, onclick: () => start([]) }, 'Run what is due'),
      running ? h('button', { onclick: () => api.change(`/api/cases/${key}/run/stop`).then(drawRun) }, 'Stop') : null,
      state ? h('span', { role: 'status' }, running ? `${state.now || 'starting'} (${Math.round(state.seconds)} s)` : `last run ${state.state} after ${state.seconds} s`) : h('span', { class: 'quiet' }, 'nothing was run yet')),
      state?.state === 'failed' ? problem({ message: state.error, remedy: state.remedy }) : null,
      running ? h('pre', { tabindex: 0, 'aria-label': 'What it says' }, state.lines.slice(-8).join('\n')) : null)
    clearTimeout(timer)
    if (running) {
      timer = setTimeout(async () => {
        try {
          const now = await api.get(`/api/cases/${key}/run`)
          if (now.state !== 'running') about = await api.get(`/api/cases/${key}`)
          now.state === 'running' ? drawRun(now) : draw()
        } catch {
          timer = setTimeout(() => drawRun(state), 2000) // the bar above says that the connection is lost
        }
      }, LOOK_MS)
    }
  }

  function facts() {
    const rows = Object.entries(about.facts).map(([name, value]) => [h('span', {}, name.split('.').flatMap((part, n) => (n ? ['.', h('wbr'), part] : [part]))), h('span', { class: 'broken' }, value),
      h('button', { 'aria-label': `Correct ${name}`, title: 'Correct', onclick: () => correct(name, value) }, '✎')])
    return h('section', { class: 'card' }, h('h2', {}, 'What is stated'),
      table('Facts', ['key', 'value', ''], rows), h('p', { class: 'row' }, h('button', { onclick: () => correct('', '') }, 'State another'), h('a', { href: `#/case/${key}/forms` }, 'Forms')))
  }

  async function correct(name, value) {
    const fields = name ? [] : [{ name: 'key', label: 'Key', needed: true, hint: 'such as patient.weight or treatment.1.aims.tumour' }]
    const given = await askFor(name || 'State a fact', [...fields, { name: 'value', label: 'Value with its unit', value, hint: 'empty takes it away' }], 'State it')
    if (given) await act(() => api.change(`/api/cases/${key}/facts`, { values: { [name || given.key]: given.value || null } }), 'It is stated')
  }

  function images() {
    const rows = about.images.map((image) => [image.name,
      choice(Object.entries(about.roles).map(([role]) => role), image.role, (role) => act(() => api.change(`/api/cases/${key}/items/${image.name}`, { role }), `${image.name} is taken for ${role}`), { 'aria-label': `What ${image.name} is taken for` }),
      [image.what, image.date].filter(Boolean).join(', '), [...image.altered, ...image.doubts].join('; ')])
    return h('section', { class: 'card' }, h('h2', {}, 'Images and tables'), table('Images', ['name', 'taken for', 'it says', 'in doubt'], rows))
  }

  // Changes made elsewhere: another tab, the command line
  const follow = async () => {
    if (document.querySelector('dialog[open]')) return
    const now = await api.get(`/api/cases/${key}`).catch(() => null)
    if (now === null || document.querySelector('dialog[open]')) return
    about = now
    const name = document.activeElement?.getAttribute('aria-label')
    draw()
    if (name) main.querySelector(`[aria-label="${CSS.escape(name)}"]`)?.focus()
  }
  window.addEventListener('casechanged', follow)
  draw()
  return () => {
    clearTimeout(timer)
    window.removeEventListener('casechanged', follow)
  }
}
