// The plan editor: controls on the left, doses, limits, guardrails and chances on the right, at once.

import * as api from '../api.js'
import { announce, askFor, choice, fill, h, labelled, notice, number, problem, table } from '../dom.js'
import { Voxels } from './plan-voxels.js'

const SOON_MS = 40

const CONTROLS = [
  ['aims.perfused', 'Dose to the perfused volume', 'Gy', [20, 400]],
  ['aims.tumour', 'Dose to the tumours', 'Gy', [50, 600]],
  ['aims.normal_limit', 'Limit of the normal liver', 'Gy', [10, 150]],
  ['aims.lung_limit', 'Limit of the lungs', 'Gy', [5, 50]],
  ['plan.residual', 'Stays in vial and tubing', '%', [0, 20]],
  ['lungs.lung_shunt', 'Lung shunt', '%', [0, 30]],
]

// Standard uncertainties: the shunt's is of the fraction itself, as the scout states it; all others are relative
const SPREADS = [
  ['lung_shunt', 'lung shunt, of the fraction itself', 'absolute: "1 %" of a shunt of 7 % is 7 ± 1 %'],
  ...[['tumour_to_normal', 'T/N'], ['discordance', 'discordance of therapy and scout'], ['mass', 'masses'], ['lung_mass', 'lung mass'], ['calibration', 'calibration']].map(([name, label]) => [name, `${label}, relative`, 'per cent of the value']),
]

export async function show(main, key) {
  const about = await api.get(`/api/cases/${key}`)
  const view = new PlanEditor(main, key, about.treatments)
  globalThis.workbench = view // for people who look behind the page, and for tests
  await view.open(1)
  view.follow_ = () => view.follow().then(() => view.askOpen())
  window.addEventListener('casechanged', view.follow_)
  return () => view.close()
}

class PlanEditor {
  constructor(main, key, treatments) {
    this.key = key
    this.edits = {}
    this.kept = null
    this.said = h('div', { role: 'status' })
    this.controls = h('section', { class: 'card', 'aria-label': 'Controls' })
    this.result = h('div')
    const pick = treatments > 1 ? labelled('Treatment', choice(Array.from({ length: treatments }, (_, n) => [String(n + 1), `treatment ${n + 1}`]), '1', (value) => this.open(Number(value)))) : null
    fill(main, h('div', { class: 'row' }, h('h1', {}, 'Plan'), pick), this.said, h('div', { class: 'columns plan' }, this.result, this.controls))
  }

  get address() {
    return `/api/cases/${this.key}/plans/${this.treatment}`
  }

  async open(treatment) {
    this.treatment = treatment
    this.edits = {}
    this.kept = null
    this.voxels?.close()
    this.voxels = null
    fill(this.result, h('p', { class: 'quiet' }, 'The plan is being made …'))
    try {
      this.about = await api.get(this.address)
    } catch (error) {
      this.about = null
      fill(this.controls)
      fill(this.result)
      return fill(this.said, problem(error))
    }
    this.plan = this.about.plan
    this.standing()
    this.drawControls()
    if (this.about.has_images) this.voxels = new Voxels(this.key, this.address, this.about.basis)
    this.draw()
    this.predict(true)
  }

  // The case was changed by another tab or the command line: what stands here is that of before
  async follow() {
    const { treatment, about: before } = this
    let found
    try {
      found = await api.get(this.address)
    } catch (error) {
      if (this.isClosed || error instanceof api.Lost || treatment !== this.treatment) return
      this.about = this.plan = this.kept = null
      this.voxels?.close()
      this.voxels = null
      fill(this.controls)
      fill(this.result)
      fill(this.said, problem(error))
      return
    }
    if (this.isClosed || treatment !== this.treatment || before !== this.about) return
    if (before === null) return this.open(treatment)
    if (found.basis === before.basis && found.state === before.state) return
    const edits = Object.keys(this.edits).length
    const focused = document.activeElement?.dataset?.name
    clearTimeout(this.soon)
    this.turn = (this.turn ?? 0) + 1
    const isNew = found.basis !== before.basis
    const hadKept = isNew && this.kept
    this.about = found
    if (hadKept) this.kept = null // it was planned from what the case is no more
    if (isNew && (this.voxels || found.has_images)) {
      this.voxels?.close()
      this.voxels = found.has_images ? new Voxels(this.key, this.address, found.basis) : null
    }
    for (const [name, value] of Object.entries(this.edits)) if (String(value) === String(this.original(name))) delete this.edits[name]
    this.plan = found.plan
    this.nuclide = undefined
    this.drawControls()
    if (focused) this.controls.querySelector(`[data-name="${focused}"]`)?.focus()
    this.draw()
    if (Object.keys(this.edits).length) await this.ask()
    else {
      this.asked(false)
      this.predict()
    }
    this.standing(isNew ? `The case was changed elsewhere.${edits ? ' Your edits are kept on top of it.' : ''}${hadKept ? ' The plan that was kept beside it is let go.' : ''}` : '')
  }

  // What was typed and could not be planned while the connection was lost
  async askOpen() {
    if (this.isClosed || !this.isLost || !this.about) return
    await this.ask()
    if (!this.isLost && !this.isOpen) announce('What was typed is planned')
  }

  // How the plan of the case stands, and what has just happened to it
  standing(news = '') {
    const parts = [news ? notice('warning', news, 'what stands here is planned from the case as it is now') : null, this.about.state === 'done' ? null : notice('warning', `The plan of the case is ${this.about.state}.`, 'what is shown here is planned from the case as it is now')]
    if (news) announce(news)
    if (this.plan) fill(this.said, parts)
    else this.said.prepend(...parts.filter(Boolean)) // why it cannot be planned stays
  }

  // The dose map follows what is edited
  predict(now = false) {
    const columns = [['the case', {}]]
    if (this.kept) columns.push(['kept', this.kept.edits])
    if (Object.keys(this.edits).length) columns.push(['edited', { ...this.edits }])
    this.voxels?.want(columns, now)
  }

  original(name) {
    return name.split('.').reduce((place, part) => (Array.isArray(place) ? place[Number(part) - 1] : place?.[part]), this.about.tables) ?? null
  }

  // Value of a control: edited, else that of the case
  value(name) {
    if (name in this.edits) return this.edits[name] ?? ''
    return this.original(name) ?? ''
  }

  set(name, value) {
    const before = value === '' ? null : value
    if (String(before) === String(this.original(name))) delete this.edits[name]
    else this.edits[name] = before
    this.asked(true)
    clearTimeout(this.soon)
    this.soon = setTimeout(() => this.ask(), SOON_MS)
  }

  async ask() {
    const turn = (this.turn = (this.turn ?? 0) + 1)
    const begun = performance.now()
    this.isLost = false
    if (!this.value('plan.agent')) {
      const of = this.nuclide ? `Several agents carry ${this.nuclide}` : 'An agent is needed'
      return this.unplanned(notice('warning', `${of}: choose one, then it is planned.`))
    }
    try {
      const answer = await api.ask(this.address, { edits: this.edits, basis: this.about.basis })
      if (turn !== this.turn) return
      this.plan = answer.plan
      fill(this.said)
      this.draw()
      this.asked(false)
      this.predict()
      this.took = performance.now() - begun
    } catch (error) {
      if (turn !== this.turn) return
      this.isLost = error instanceof api.Lost
      if (error.status === 409) return this.follow() // the case was changed: its new state first
      this.unplanned(problem(error))
    }
  }

  // The numbers of the input before are not those of what stands in the controls: they are not shown
  unplanned(why) {
    this.plan = null
    fill(this.said, why)
    this.voxels?.clear()
    this.draw()
    this.asked(true)
  }

  // Until what stands in the controls was planned nothing of it can be written or kept beside
  asked(isOpen) {
    this.isOpen = isOpen
    for (const button of this.controls.querySelectorAll('[data-needs-plan]')) button.disabled = isOpen
    this.result.classList.toggle('dimmed', isOpen)
  }

  drawControls() {
    const text = (name, label, hint = '') => labelled(label, h('input', { type: 'text', 'data-name': name, value: this.value(name), oninput: (event) => this.set(name, event.target.value.trim()) }), hint)
    const slide = ([name, label, unit, [low, high]]) => {
      const parsed = Number.parseFloat(this.value(name))
      const typed = h('input', { type: 'text', 'data-name': name, value: this.value(name), placeholder: `none stated (${unit})`, oninput: (event) => {
        slider.value = Number.parseFloat(event.target.value) || low
        this.set(name, event.target.value.trim())
      } })
      const slider = h('input', { type: 'range', min: low, max: high, step: unit === '%' ? 0.1 : 1, value: Number.isFinite(parsed) ? parsed : low, 'aria-label': `${label}, ${unit}`, 'data-slide': name, oninput: (event) => {
        typed.value = `${event.target.value} ${unit}`
        this.set(name, typed.value)
      } })
      return h('div', {}, labelled(label, typed), slider)
    }
    const territories = this.about.tables.territory ?? []
    const overruled = (this.about.plan.compared ?? []).filter((one) => one.used === 'measured')
    const measured = (quantity) => {
      const one = overruled.find((each) => each.quantity === quantity)
      if (!one) return null
      const size = (value) => (quantity === 'lung_shunt' ? `${number(100 * value)} %` : number(value))
      return h('small', { class: 'overruled' }, `${size(one.measured)} from the ${one.source === 'images' ? 'images' : 'earlier result'} is used, not the stated ${size(one.stated)}; a value that is typed here is kept as stated, with the reason`)
    }
    fill(this.controls, h('h2', {}, 'What is asked'),
      this.substance(),
      labelled('Intent', choice(['', ...this.about.intents], this.value('plan.intent'), (name) => this.set('plan.intent', name), { 'data-name': 'plan.intent' })),
      CONTROLS.map((one) => [slide(one), one[0] === 'lungs.lung_shunt' ? measured('lung_shunt') : null]),
      (this.plan ?? this.about.plan).territories.map((plan, n) => h('fieldset', {}, h('legend', {}, territories[n]?.name ?? plan.name),
        labelled('Method whose activity is given', choice(['', ...new Set([...Object.keys(plan.methods), 'stated'])], this.value(`territory.${n + 1}.method`), (name) => this.set(`territory.${n + 1}.method`, name), { 'data-name': `territory.${n + 1}.method` })),
        this.activity(plan, n),
        this.ratios(plan, n))),
      h('details', {}, h('summary', {}, 'Uncertainties, for the chances'), SPREADS.map(([name, label, hint]) => text(`uncertainty.${name}`, label, hint))),
      h('div', { class: 'row' }, h('button', { 'data-needs-plan': true, onclick: () => this.keep() }, 'Keep beside'), h('button', { onclick: () => this.reset() }, 'Back to the case'), h('button', { class: 'main', 'data-needs-plan': true, onclick: () => this.choose() }, 'Write into the case')))
  }

  // Agent and nuclide: an agent carries one nuclide; a nuclide leaves the agents that carry it
  substance() {
    const { agents } = this.about
    const now = agents.find((one) => one.name === this.value('plan.agent'))
    this.nuclide ??= now?.nuclide ?? ''
    const fitting = agents.filter((one) => !this.nuclide || one.nuclide === this.nuclide)
    const options = fitting.map((one) => [one.name, `${one.name}: ${one.product}, ${one.nuclide}`])
    const names = [...new Set(agents.map((one) => one.nuclide))].sort()
    const agent = choice([['', now || !this.value('plan.agent') ? 'choose one' : this.value('plan.agent')], ...options], fitting.includes(now) ? now.name : '', (name) => {
      this.nuclide = agents.find((one) => one.name === name)?.nuclide ?? this.nuclide
      this.set('plan.agent', name)
      this.drawControls()
      this.controls.querySelector('[data-name="plan.agent"]').focus()
    }, { 'data-name': 'plan.agent' })
    const nuclide = choice([['', 'any'], ...names], this.nuclide, (name) => {
      this.nuclide = name
      const left = agents.filter((one) => one.nuclide === name)
      if (name && now?.nuclide !== name) this.set('plan.agent', left.length === 1 ? left[0].name : '')
      this.drawControls()
      this.controls.querySelector('[data-name="nuclide"]').focus()
    }, { 'data-name': 'nuclide' })
    return h('div', { class: 'numbers uneven' }, labelled('Nuclide', nuclide), labelled('Agent', agent))
  }

  // The activity itself, as a person states it: it is given by no rule, and emptied again by the method's
  activity(plan, n) {
    const place = `territory.${n + 1}`
    const name = plan.name
    const control = h('input', { type: 'text', inputmode: 'decimal', 'data-name': `activity-${n + 1}`, value: number(given(plan).administered_gbq, 5), onchange: (event) => {
      const typed = event.target.value.trim()
      this.set(`${place}.administered`, typed && (/[a-z]/i.test(typed) ? typed : `${typed} GBq`))
      this.set(`${place}.method`, typed ? 'stated' : '')
      const method = this.controls.querySelector(`[data-name="${place}.method"]`)
      if (method) method.value = typed && [...method.options].some((one) => one.value === 'stated') ? 'stated' : ''
    } })
    return labelled('Activity that reaches the patient, GBq', control, `${name}: by the method, or as it is typed here; emptied, by the method again`)
  }

  // T/N of every tumour of a territory; one that is measured only gets an entry of its own when it is typed
  ratios(plan, n) {
    const names = Object.keys(given(plan)?.doses?.lesions_gy ?? {})
    const stated = this.about.tables.territory?.[n]?.lesion ?? []
    const places = new Map(stated.map((one, m) => [String(one.name), m + 1]))
    for (const name of names) if (!places.has(name)) places.set(name, places.size + 1)
    return [...places].map(([name, m]) => {
      const place = `territory.${n + 1}.lesion.${m}`
      return labelled(`T/N of ${name}`, h('input', { type: 'text', inputmode: 'decimal', 'data-name': `${place}.tumour_to_normal`, value: this.value(`${place}.tumour_to_normal`), placeholder: 'as the images hold it', oninput: (event) => {
        const typed = event.target.value.trim()
        if (m > stated.length) {
          if (typed) this.edits[`${place}.name`] = name
          else delete this.edits[`${place}.name`]
        }
        this.set(`${place}.tumour_to_normal`, typed)
      } }))
    })
  }

  keep() {
    this.kept = { plan: this.plan, edits: { ...this.edits } }
    announce('This plan is kept beside the one that is edited')
    this.draw()
    this.predict()
  }

  reset() {
    clearTimeout(this.soon)
    this.turn = (this.turn ?? 0) + 1
    this.edits = {}
    this.plan = this.about.plan
    this.nuclide = undefined
    fill(this.said)
    this.drawControls()
    this.draw()
    this.asked(false)
    this.predict()
  }

  async choose() {
    if (!Object.keys(this.edits).length) return announce('Nothing was changed')
    if (this.isOpen) return announce('What stands in the controls was not planned')
    const given = await askFor('Write into the case', [{ name: 'reason', label: 'Why', needed: true, long: true, hint: Object.entries(this.edits).map(([name, value]) => `${name} = ${value ?? 'taken away'}`).join('; ') }], 'Write it')
    if (!given) return null
    try {
      const answer = await api.change(`${this.address}/choose`, { edits: this.edits, basis: this.about.basis, reason: given.reason })
      await this.open(this.treatment)
      fill(this.said, notice('note', `It is in the case; the plan is ${answer.state}.`, answer.state === 'done' ? '' : 'run the plan on the page of the course'),
        answer.holds ? null : notice('critical', 'The case does not give the numbers that were edited: something else that it holds overrules them.', 'compare the plan of the case with what was asked before anybody uses it'))
      return answer
    } catch (error) {
      return fill(this.said, problem(error))
    }
  }

  columns() {
    const shown = [['the case', this.about.plan]]
    if (this.kept) shown.push(['kept', this.kept.plan])
    if (Object.keys(this.edits).length && this.plan) shown.push(['edited', this.plan])
    return shown
  }

  draw() {
    const plan = this.plan ?? this.about.plan
    const shown = this.columns()
    const rows = summaryRows(shown.map(([, one]) => one))
    fill(this.result,
      h('section', { class: 'card' }, h('h2', {}, 'Side by side'), table('Plans', ['', ...shown.map(([name]) => name)], rows)),
      this.voxels?.element,
      h('section', { class: 'card' }, h('h2', {}, 'Limits'), limits(plan)),
      plan.territories.map((one, n) => h('section', { class: 'card' }, h('h2', {}, `Methods${plan.territories.length > 1 ? `, ${this.about.tables.territory?.[n]?.name ?? ''}` : ''}`), methods(one))),
      plan.planner ? h('section', { class: 'card' }, h('h2', {}, 'Chances'), chances(plan.planner)) : h('p', { class: 'quiet' }, 'Chances of the goals need aims for tumour and normal liver, and uncertainties.'),
      h('section', { class: 'card' }, h('h2', {}, 'Guardrails and messages'), plan.verdict ? h('p', {}, `Verdict: ${plan.verdict}`) : null, guardrails(plan)))
    if (this.plan) plan.territories.forEach((one, n) => {
      const control = this.controls.querySelector(`[data-name="activity-${n + 1}"]`)
      if (control && document.activeElement !== control) control.value = number(given(one).administered_gbq, 5)
    })
    document.documentElement.dataset.planned = String(plan.administered_gbq)
  }

  close() {
    this.isClosed = true
    window.removeEventListener('casechanged', this.follow_)
    clearTimeout(this.soon)
    this.voxels?.close()
    if (globalThis.workbench === this) globalThis.workbench = null
  }
}

function summaryRows(plans) {
  const row = (label, of) => [label, ...plans.map((plan) => {
    const value = of(plan)
    return typeof value === 'number' ? number(value, 4) : value ?? '–'
  })]
  const names = new Set(plans.flatMap((plan) => plan.territories.flatMap((one) => Object.keys(given(one)?.doses?.lesions_gy ?? {}))))
  return [
    row('agent', (plan) => plan.agent),
    row('activity in the vial, GBq', (plan) => plan.planned_gbq),
    row('activity that reaches the patient, GBq', (plan) => plan.administered_gbq),
    ...plans[0].territories.flatMap((one, n) => {
      const head = plans[0].territories.length > 1 ? `${one.name}: ` : ''
      return [
        head ? row(`${head}activity, GBq`, (plan) => given(plan.territories[n])?.administered_gbq) : null,
        row(`${head}perfused volume, Gy`, (plan) => given(plan.territories[n])?.doses?.perfused_gy),
        row(`${head}tumours, Gy`, (plan) => given(plan.territories[n])?.doses?.tumour_gy),
        row(`${head}normal liver perfused, Gy`, (plan) => given(plan.territories[n])?.doses?.normal_liver_gy),
      ].filter(Boolean)
    }),
    ...[...names].map((name) => row(`${name}, Gy`, (plan) => plan.territories.map((one) => given(one)?.doses?.lesions_gy?.[name]).find((value) => value !== undefined))),
    row('lungs, from all injections, Gy', (plan) => plan.doses.lung_gy),
    row('limits broken', (plan) => plan.limits.filter((one) => one.status === 'violated').length),
  ]
}

const given = (territory) => territory.methods[territory.chosen] ?? territory.given ?? Object.values(territory.methods)[0]

// A value of a limit, whose quantity ends in its unit
function withUnit(value, quantity) {
  if (quantity.endsWith('_gy')) return `${number(value)} Gy`
  if (quantity.endsWith('_gbq')) return `${number(value)} GBq`
  return quantity.endsWith('_fraction') || quantity.endsWith('_share') ? `${number(100 * value)} %` : number(value)
}

function limits(plan) {
  const rank = { violated: 0, 'not evaluated': 1, near: 2, met: 3 }
  const rows = [...plan.limits].sort((a, b) => (rank[a.status] ?? 3) - (rank[b.status] ?? 3)).map((one) => [one.text || one.id, h('span', { class: `state ${one.status}` }, one.status), one.value == null ? '–' : withUnit(one.value, one.quantity), `${one.bound === 'min' ? 'at least' : 'at most'} ${withUnit(one.limit, one.quantity)}`, one.source])
  return table('Limits', ['limit', 'how it stands', 'value', 'bound', 'source'], rows)
}

function methods(territory) {
  const rows = Object.entries(territory.methods).map(([name, one]) => [name, one.planned_gbq, one.doses?.perfused_gy ?? '–', one.doses?.tumour_gy ?? '–', one.doses?.normal_liver_gy ?? '–', one.doses?.lung_gy ?? '–'])
  return table('Methods side by side', ['method', 'GBq in the vial', 'perfused, Gy', 'tumours, Gy', 'normal liver, Gy', 'lungs, Gy'], rows)
}

function chances(planner) {
  const percent = (share) => share === null ? 'not known' : `${number(100 * share)} %`
  const rows = [
    ...Object.entries(planner.administered_gbq).map(([name, value]) => [`activity with the best chance, ${name}`, `${number(value, 4)} GBq`]),
    ['chance that the tumours reach their aim', percent(planner.probability_tumour_reached)],
    ...Object.entries(planner.probability_by_lesion ?? {}).map(([name, share]) => [`the same, ${name} alone`, percent(share)]),
    ['risk that the normal liver is above its limit', percent(planner.probability_normal_liver_exceeded)],
    ['risk that the lungs are above theirs', percent(planner.probability_lung_exceeded)],
    ['largest activity that is allowed', `${number(planner.largest_allowed_total_gbq, 4)} GBq, bound by: ${planner.binding_limit}`],
  ]
  const trade = (planner.trade_off ?? []).map((one) => [number(one.administered_total_gbq), percent(one.probability_tumour_reached), percent(one.probability_normal_liver_exceeded), percent(one.probability_lung_exceeded)])
  return [table('Chances at the best activity', ['what', 'value'], rows),
    h('details', {}, h('summary', {}, 'By activity'), table('Chances by activity', ['GBq in all', 'tumours reach their aim', 'normal liver above its limit', 'lungs above theirs'], trade))]
}

function guardrails(plan) {
  const severity = { stop: 'critical', critical: 'critical', warning: 'warning', note: 'note' }
  const raised = (plan.guardrails?.warned ?? []).map((one) => notice(severity[one.severity] ?? 'note', one.message, one.remedy ?? ''))
  const said = (plan.messages ?? []).map((one) => notice(one.severity, one.text, one.remedy))
  const quiet = plan.guardrails?.quiet?.length ?? 0
  const open = plan.guardrails?.not_evaluated?.length ?? 0
  return [raised, said, h('p', { class: 'quiet' }, `${quiet} guardrails were asked and had nothing to say.${open ? ` ${open} lack a fact and are NOT judged: see above.` : ''}`)]
}
