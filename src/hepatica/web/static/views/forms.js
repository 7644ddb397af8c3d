// Forms: patient and disease, delivery, options of any step, follow-up tables.

import * as api from '../api.js'
import { announce, choice, fill, h, labelled, notice, problem } from '../dom.js'

const WORDS = { id: 'patient number', hepatic_reserve: 'hepatic reserve', birth_date: 'born' }

export async function show(main, key) {
  const view = new Forms(main, key)
  await view.begin()
  const follow = () => view.follow()
  window.addEventListener('casechanged', follow)
  return () => {
    view.isClosed = true
    window.removeEventListener('casechanged', follow)
  }
}

class Forms {
  constructor(main, key) {
    this.key = key
    this.main = main
    this.said = h('div', { role: 'status' })
    this.treatment = 1
    this.step = 'delivery'
    this.forms = h('div', { class: 'cards wide' })
  }

  async begin() {
    fill(this.main, h('h1', {}, 'Forms'), this.said, this.forms)
    await this.draw()
  }

  async draw() {
    const content = await this.read()
    this.mark = JSON.stringify(content)
    this.fillWith(content)
  }

  async read() {
    const [about, step, measurements, labs] = await Promise.all([
      api.get(`/api/cases/${this.key}`), api.get(`/api/cases/${this.key}/forms/${this.step}/${this.treatment}`), this.table('measurements'), this.table('labs')])
    return { about: { facts: about.facts, keys: about.keys, treatments: about.treatments }, step, measurements, labs }
  }

  fillWith({ about, step, measurements, labs }) {
    this.about = about
    fill(this.forms, this.facts(), this.stepForm(step), this.tableForm('measurements', 'Lesion sizes', measurements), this.tableForm('labs', 'Laboratory values', labs))
  }

  // The case was changed by another tab or the command line: fields show it; what was typed and not kept stays on top
  async follow() {
    const place = `${this.step} ${this.treatment}`
    if (this.isKeeping) return
    const content = await this.read().catch(() => null)
    if (content === null || this.isKeeping || this.isClosed || place !== `${this.step} ${this.treatment}` || JSON.stringify(content) === this.mark) return
    this.mark = JSON.stringify(content)
    const typed = new Map()
    const kept = new Map()
    for (const form of this.forms.children) {
      if (isTable(form) && cellsOf(form) !== form.dataset.before) kept.set(form.getAttribute('aria-label'), form)
      for (const one of form.elements) if (one.name && one.value !== (one.dataset.before ?? '')) typed.set(one.name, one.value)
    }
    const focused = document.activeElement?.name
    this.fillWith(content)
    for (const form of [...this.forms.children]) {
      const old = kept.get(form.getAttribute('aria-label'))
      if (old) form.replaceWith(old)
      else for (const one of form.elements) if (typed.has(one.name)) one.value = typed.get(one.name)
    }
    if (focused) this.forms.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus()
    const words = `The case was changed elsewhere: the fields show it.${typed.size || kept.size ? ' What was typed here and not kept still stands.' : ''}`
    fill(this.said, notice('warning', words))
    announce(words)
  }

  table(role) {
    return api.get(`/api/cases/${this.key}/tables/${role}`)
  }

  form(title, content, save) {
    return h('form', { class: 'card', 'aria-label': title, onsubmit: async (event) => {
      event.preventDefault()
      this.isKeeping = true // its own change is none of elsewhere
      try {
        const words = await save(event.target)
        fill(this.said, notice('note', words))
        announce(words)
        await this.draw()
      } catch (error) {
        fill(this.said, problem(error))
      } finally {
        this.isKeeping = false
      }
    } }, h('h2', {}, title), content, h('div', { class: 'row end' }, h('button', { class: 'main', type: 'submit' }, 'Keep')))
  }

  // Only what was changed is stated; an emptied field takes its key away
  async state(form) {
    const values = {}
    const before = {}
    for (const control of form.elements) {
      if (control.name && control.value.trim() !== (control.dataset.before ?? '')) {
        values[control.name] = control.value.trim() || null
        before[control.name] = control.dataset.before || null
      }
    }
    if (!Object.keys(values).length) return 'Nothing was changed.'
    await api.change(`/api/cases/${this.key}/facts`, { values, before })
    return `Stated: ${Object.keys(values).join(', ')}.`
  }

  facts() {
    const field = (name, label) => {
      const value = this.about.facts[name] ?? ''
      return labelled(label, h('input', { name, value, 'data-before': value, autocomplete: 'off' }))
    }
    const treatments = Array.from({ length: this.about.treatments }, (_, n) => n + 1)
    return this.form('Patient, disease, treatments', [
      h('fieldset', {}, h('legend', {}, 'Patient'), h('div', { class: 'fields' }, this.about.keys.patient.map((name) => field(`patient.${name}`, WORDS[name] ?? name)))),
      h('fieldset', {}, h('legend', {}, 'Disease'), h('div', { class: 'fields' }, this.about.keys.disease.map((name) => field(`disease.${name}`, name)))),
      treatments.map((n) => h('fieldset', {}, h('legend', {}, `Treatment ${n}`), h('div', { class: 'fields' }, ['agent', 'intent', 'at', 'name', 'residual'].map((name) => field(`treatment.${n}.${name}`, name === 'at' ? 'administered at' : name))))),
    ], (form) => this.state(form))
  }

  stepForm(found) {
    const control = (field) => field.choices.length
      ? choice([['', field.default ? `not stated (${field.default})` : 'not stated'], ...field.choices.map((one) => [one, one])], field.value, () => {}, { name: field.key, 'data-before': field.value })
      : h('input', { name: field.key, value: field.value, 'data-before': field.value, placeholder: field.default || field.holds, autocomplete: 'off' })
    const groups = [...new Set(found.fields.map((field) => field.group))]
    return this.form(found.title, [
      h('div', { class: 'numbers' }, labelled('Step', choice(found.steps, this.step, (name) => {
        this.step = name
        this.draw()
      })), labelled('Treatment', choice(Array.from({ length: this.about.treatments }, (_, n) => String(n + 1)), String(this.treatment), (n) => {
        this.treatment = Number(n)
        this.draw()
      }))),
      found.remark ? notice('note', found.remark) : null,
      groups.map((group) => h('fieldset', {}, group ? h('legend', {}, group) : null, h('div', { class: 'fields' }, found.fields.filter((field) => field.group === group).map((field) => labelled(field.label + (field.needed ? ' (needed)' : ''), control(field), field.help))))),
    ], (form) => this.state(form))
  }

  tableForm(role, title, found) {
    const rows = [...found.rows, found.heads.map(() => '')]
    const line = (cells) => h('tr', {}, cells.map((cell, n) => h('td', {}, h('input', { value: cell, 'aria-label': found.heads[n], autocomplete: 'off' }))))
    const body = h('tbody', {}, rows.map(line))
    const form = this.form(title, [h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': title }, h('table', {}, h('caption', {}, title), h('thead', {}, h('tr', {}, found.heads.map((head) => h('th', { scope: 'col' }, head.replaceAll('_', ' '))))), body)),
      h('button', { type: 'button', onclick: () => body.append(line(found.heads.map(() => ''))) }, 'Another row')],
    async () => {
      const given = [...body.rows].map((row) => [...row.cells].map((cell) => cell.firstChild.value.trim())).filter((row) => row.some(Boolean))
      const answer = await api.change(`/api/cases/${this.key}/tables/${role}`, { heads: found.heads, rows: given, instead_of: found.item })
      return answer.items.length ? `${title}: in the case as ${answer.items.join(', ')}.` : 'The case has this table already.'
    })
    form.dataset.before = cellsOf(form)
    return form
  }
}

const isTable = (form) => form.dataset.before !== undefined
const cellsOf = (form) => JSON.stringify([...form.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.firstChild.value.trim())).filter((row) => row.some(Boolean)))
