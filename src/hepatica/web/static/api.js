// Questions to the server. What changes the case waits where the connection is lost, and is sent again in its order.

import { announce, connection } from './dom.js'

const RETRY_MS = 2000
const waiting = [] // changes that could not be sent: {address, body, resolve, reject}
let retrying = false

export class Refused extends Error {
  constructor(answer, status) {
    super(answer.error || `the server refused (${status})`)
    this.remedy = answer.remedy || ''
    this.status = status
  }
}

export class Lost extends Error {
  constructor() {
    super('the connection to hepatica is lost')
    this.remedy = 'it is tried again by itself; see whether the workbench still runs'
  }
}

async function fetched(address, options) {
  let response
  try {
    response = await fetch(address, { credentials: 'same-origin', ...options })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    connection(false, waiting.length)
    throw new Lost()
  }
  if (waiting.length === 0) connection(true, 0)
  if (response.ok) return response
  let answer = {}
  try {
    answer = await response.json()
  } catch {
    answer = { error: `the server answered ${response.status}` }
  }
  throw new Refused(answer, response.status)
}

export const raw = (address, signal) => fetched(address, { signal })
export const get = async (address, signal) => (await fetched(address, { signal })).json()
export const bytes = async (address) => (await fetched(address)).arrayBuffer()

function posted(address, body, signal) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}), signal }
  return fetched(address, options)
}

// Ask something that needs a body and changes nothing: fails at once where the connection is lost
export const ask = async (address, body, signal) => (await posted(address, body, signal)).json()

// Change something: kept and sent again where the connection is lost
export async function change(address, body) {
  if (waiting.length === 0) {
    try {
      return await (await posted(address, body)).json()
    } catch (error) {
      if (!(error instanceof Lost)) throw error
    }
  }
  return new Promise((resolve, reject) => {
    waiting.push({ address, body, resolve, reject })
    connection(false, waiting.length)
    if (!retrying) setTimeout(sendAgain, RETRY_MS)
    retrying = true
  })
}

async function sendAgain() {
  while (waiting.length > 0) {
    const { address, body, resolve, reject } = waiting[0]
    try {
      const answer = await (await posted(address, body)).json()
      waiting.shift()
      resolve(answer)
    } catch (error) {
      if (error instanceof Lost) {
        setTimeout(sendAgain, RETRY_MS)
        return
      }
      waiting.shift()
      reject(error)
    }
  }
  retrying = false
  connection(true, 0)
  announce('The connection is back; all edits were sent.')
}

export const unsent = () => waiting.length

// A last word when the page goes: needs no answer
export const farewell = (address) =>
  fetch(address, { method: 'POST', keepalive: true, headers: { 'content-type': 'application/json' }, body: '{}' }).catch(() => {})
