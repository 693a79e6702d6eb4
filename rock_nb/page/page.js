// Photographs to answers: a few at a time are sent to this page's own server, a card is filled for each.
const $ = (selector, inside = document) => inside.querySelector(selector)
const BATCH = {images: 6, bytes: 24e6}
const PAGE_LIMIT = 1000
const shots = []           // {file, name, card, row?, error?, correction?}
let about = {}, busy = false, shown = 'all'

const element = (tag, text = '', name = '') => {
  const e = document.createElement(tag)
  e.textContent = text
  e.className = name
  return e
}
const percent = p => p > .995 && p < 1 ? '> 99 %' : p < .005 ? '< 1 %' : `${Math.round(100*p)} %`
const some = (names, word, most = 3) =>
  names.length <= most + 1 ? [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(` ${word} `)
    : `${names.slice(0, most).join(', ')} ${word} ${names.length - most} others`
const notice = text => { $('#notice').textContent = text; $('#notice').hidden = !text }

async function ask(path, form) {
  const answer = await fetch(path, form ? {method: 'POST', body: form} : {})
  const said = await answer.json().catch(() => ({error: `the server said ${answer.status}`}))
  if (!answer.ok) throw new Error(said.error)
  return said
}

// ---- what was dropped: files, folders, zip files

async function filesBelow(entry, place = '') {
  if (entry.isFile) {
    const file = await new Promise((yes, no) => entry.file(yes, no))
    return [{file, name: place + file.name, within: Boolean(place)}]
  }
  const reader = entry.createReader(), found = []
  for (;;) {
    const few = await new Promise((yes, no) => reader.readEntries(yes, no))
    if (!few.length) break
    for (const e of few) found.push(...await filesBelow(e, `${place}${entry.name}/`))
  }
  return found
}

async function inflate(bytes, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader()
  const parts = []
  for (let size = 0;;) {
    const {done, value} = await reader.read()
    if (done) return new Blob(parts)
    size += value.length
    if (size > most) { reader.cancel(); throw new Error(`more than ${about.limits.image_mb} MB`) }
    parts.push(value)
  }
}

async function unzip(zip) {
  const buffer = await zip.arrayBuffer(), view = new DataView(buffer), found = []
  let end = buffer.byteLength - 22
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--
  if (end < 0) throw new Error('it is no zip file')
  let at = view.getUint32(end + 16, true)
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    const [method, size, names, extra, comment] = [[10, 2], [20, 4], [28, 2], [30, 2], [32, 2]].map(
      ([by, bytes]) => bytes === 2 ? view.getUint16(at + by, true) : view.getUint32(at + by, true))
    const locked = view.getUint16(at + 8, true) & 1, local = view.getUint32(at + 42, true)
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, names))
    at += 46 + names + extra + comment
    if (!isImage(name) || found.length >= PAGE_LIMIT) continue
    if (locked) throw new Error('it is encrypted')
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    const bytes = new Uint8Array(buffer, start, size)
    const blob = method === 8 ? await inflate(bytes, 1e6*about.limits.image_mb) : new Blob([bytes])
    found.push({file: new File([blob], name), name: `${zip.name}/${name}`})
  }
  if (!found.length) throw new Error('there is no photograph in it')
  return found
}

const isHidden = name => name.split('/').some(part => part.startsWith('.') || part === '__MACOSX')
const isImage = name => !isHidden(name) && about.endings.some(e => name.toLowerCase().endsWith(e))

async function take(found) {
  const sorry = [], others = []
  found.sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}))
  for (const one of found) {
    if (one.name.toLowerCase().endsWith('.zip')) {
      try { (await unzip(one.file)).forEach(add) }
      catch (e) { sorry.push(`${one.name} cannot be read: ${e.message}`) }
    } else if (!one.within || isImage(one.name)) add(one)
    else if (!isHidden(one.name)) others.push(one.name)
  }
  if (others.length) sorry.push(`Left out, since the ending is no photograph's: ${some(others, 'and')}.`)
  if (shots.length >= PAGE_LIMIT) sorry.push(`A page holds ${PAGE_LIMIT} photographs; the others were left out.`)
  notice(sorry.join('\n'))
  work()
}

function add({file, name}) {
  if (shots.length >= PAGE_LIMIT) return
  const card = $('#card').content.cloneNode(true).firstElementChild
  const shot = {file, name, card}
  $('.name', card).textContent = name
  $('h2', card).textContent = 'waiting …'
  card.classList.add('waiting')
  const most = about.limits.image_mb
  if (file.size > 1e6*most) fail(shot, `it has ${Math.round(file.size/1e6)} MB; ${most} MB are the most`)
  shots.push(shot)
  $('#answers').append(card)
}

// ---- a few at a time

async function work() {
  update()
  if (busy) return
  busy = true
  for (;;) {
    const batch = []
    let bytes = 0
    for (const shot of shots) {
      if (shot.row || shot.error) continue
      if (batch.length && (batch.length === BATCH.images || bytes + shot.file.size > BATCH.bytes)) break
      batch.push(shot)
      bytes += shot.file.size
    }
    if (!batch.length) break
    await answerBatch(batch)
    update()
  }
  busy = false
}

async function answerBatch(batch) {
  const form = new FormData()
  batch.forEach(shot => form.append('images', shot.file, shot.name))
  try {
    const said = await ask('api/predict?thumbnails=1&errors=1', form)
    said.answers.forEach(row => fill(batch[row.index], row))
    said.errors.forEach(e => fail(batch[e.index], e.error))
  } catch (e) {
    const why = e instanceof TypeError ? 'the server does not answer; is it still running?' : e.message
    batch.forEach(shot => fail(shot, why))
  }
}

// ---- cards

function fail(shot, why) {
  shot.error = why
  shot.card.className = 'card failed'
  $('h2', shot.card).textContent = 'No answer'
  $('.sub', shot.card).textContent = why
}

function headline(row) {
  const p = row.calibrated ?? row.probability, set = row.set ?? [row.class]
  if (row.unlike) return ['strange', 'Probably no rock', `It is unlike the photographs that the run knows. If it is one: ${row.class}, ${percent(p)}.`]
  if (set.length < 2) return ['sure', row.class, `with probability ${percent(p)}`]
  if (set.length === about.classes.length && set.length > 2) return ['unsure', 'Not sure: it may be any of them', `${row.class} is likeliest, ${percent(p)}`]
  const names = set.length > 2 ? some(set, 'and') : set.join(' and ')
  return ['unsure', `Not sure between ${names}`, `${row.class} is likeliest, ${percent(p)}`]
}

function fill(shot, row) {
  const {card} = shot, [kind, title, sub] = headline(row)
  shot.row = row
  shot.kind = kind
  card.className = `card ${kind}`
  if (row.thumbnail) $('img', card).src = row.thumbnail
  $('img', card).alt = `${shot.name}: ${title}`
  $('h2', card).textContent = title
  $('.sub', card).textContent = sub
  $('.meter', card).setAttribute('aria-label', `${row.class} ${percent(row.calibrated ?? row.probability)}`)
  $('.meter', card).style.setProperty('--share', `${100*(row.calibrated ?? row.probability)}%`)
  $('.probabilities', card).append(...probabilities(row))
  $('details', card).addEventListener('toggle', () => explain(shot), {once: true})
  corrections(shot)
  delete row.thumbnail
}

function probabilities(row) {
  const heat = Object.entries(row.probabilities).map(([name, p]) => [name, Math.max(p, 1e-7)**(1/(about.temperature ?? 1))])
  const total = heat.reduce((sum, [, p]) => sum + p, 0), set = row.set ?? []
  const all = heat.map(([name, p]) => [name, p/total]).sort((a, b) => b[1] - a[1]).slice(0, 8)
  return all.map(([name, p]) => {
    const line = element('li'), bar = element('span', '', 'meter'), part = element('span')
    bar.style.setProperty('--share', `${100*p}%`)
    bar.append(part)
    line.append(element('span', name, set.includes(name) ? 'inside' : ''), bar, element('span', percent(p), 'number'))
    return line
  })
}

async function explain(shot) {
  const place = $('.why', shot.card), form = new FormData()
  place.replaceChildren(element('p', 'looking …', 'sub'))
  form.append('images', shot.file, shot.name)
  let said
  try { said = await ask('api/explain', form) }
  catch (e) { return place.replaceChildren(element('p', e.message, 'sub')) }
  place.replaceChildren()
  if (said.heat) {
    const heat = element('img', '', 'heat')
    heat.src = said.heat
    heat.alt = `where ${shot.name} has what speaks for ${said.class}`
    place.append(element('h3', `What speaks for ${said.class}`), heat)
  } else if (said.note) place.append(element('p', said.note, 'sub'))
  if (!said.similar.length) return
  const row = element('div', '', 'similar')
  for (const s of said.similar) {
    const figure = element('figure'), image = element('img')
    image.src = s.image
    image.alt = s.label
    figure.append(image, element('figcaption', s.label))
    row.append(figure)
  }
  place.append(element('h3', 'Most alike among the photographs it knows'), row)
}

function corrections(shot) {
  const {card, row} = shot, select = $('select', card)
  for (const c of about.classes) select.append(new Option(c, c))
  select.append(new Option('none of these', '\0none'))
  $('.confirm', card).addEventListener('click', () => correct(shot, row.class))
  select.addEventListener('change', () => { if (select.value) correct(shot, select.value) })
  $('form', card).addEventListener('submit', e => e.preventDefault())
}

async function correct(shot, value) {
  const said = $('.said', shot.card), form = new FormData(), none = value === '\0none'
  form.append('images', shot.file, shot.name)
  form.append('correction', none ? '' : value)
  form.append('who', $('#who').value)
  said.classList.remove('bad')
  said.textContent = 'keeping …'
  try {
    await ask('api/correct', form)
    shot.correction = none ? 'none of these' : value
    said.textContent = `Kept: ${shot.correction}. Thank you.`
  } catch (e) {
    said.classList.add('bad')
    said.textContent = `Not kept: ${e.message}`
  }
}

// ---- what is above the cards

const FILTERS = {
  all: ['all', () => true], sure: ['sure', s => s.kind === 'sure'], unsure: ['not sure', s => s.kind === 'unsure'],
  strange: ['probably no rock', s => s.kind === 'strange'], failed: ['no answer', s => s.error],
}

function update() {
  const answered = shots.filter(s => s.row || s.error).length
  document.body.classList.toggle('answered', shots.length > 0)
  $('#bar').hidden = !shots.length
  $('#count').textContent = answered < shots.length ? `${answered} of ${shots.length}` : `${answered} answered`
  $('#done').value = answered/(shots.length || 1)
  $('#done').hidden = answered === shots.length
  $('#csv').disabled = !answered
  $('#filters').replaceChildren(...Object.entries(FILTERS).flatMap(([key, [label, test]]) => {
    const n = shots.filter(test).length
    if (!n && key !== 'all' || shots.length < 2) return []
    const b = element('button', `${label} ${n}`, 'button small')
    b.setAttribute('aria-pressed', shown === key)
    b.addEventListener('click', () => { shown = key; update() })
    return [b]
  }))
  shots.forEach(s => { s.card.hidden = !FILTERS[shown][1](s) })
}

function csv() {
  const cell = v => /[",\n\r]/.test(v = String(v ?? '')) ? `"${v.replaceAll('"', '""')}"` : v
  const plain = v => /^[=+\-@\t\r]/.test(v) ? `'${v}` : v       // no formula of a spreadsheet
  const quoted = n => / or |"/.test(n) ? JSON.stringify(n) : n
  const names = ['class', 'probability', 'next', 'next_probability', 'calibrated', 'set', 'unlike', 'distance_quantile', 'sha256']
    .filter(c => shots.some(s => s.row && c in s.row))
  const lines = [['file', ...names, ...about.classes.map(c => `p_${c}`), 'correction', 'error']]
  for (const s of shots) {
    const row = s.row ?? {}
    lines.push([plain(s.name), ...names.map(c => c === 'set' ? row.set?.map(quoted).join(' or ') : row[c]),
      ...about.classes.map(c => row.probabilities?.[c]), s.correction, s.error])
  }
  const link = element('a')
  link.href = URL.createObjectURL(new Blob([lines.map(l => l.map(cell).join(',')).join('\n') + '\n'], {type: 'text/csv'}))
  link.download = 'answers.csv'
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4)
}

// ---- the page

const drop = $('#drop')
addEventListener('dragover', e => { e.preventDefault(); drop.classList.add('over') })
addEventListener('dragleave', e => { if (!e.relatedTarget) drop.classList.remove('over') })
addEventListener('drop', async e => {
  e.preventDefault()
  drop.classList.remove('over')
  const entries = [...e.dataTransfer.items].map(i => i.webkitGetAsEntry?.()).filter(Boolean)
  const found = entries.length ? [] : [...e.dataTransfer.files].map(file => ({file, name: file.name}))
  for (const entry of entries) found.push(...await filesBelow(entry))
  take(found)
})
$('#files').addEventListener('change', e => take([...e.target.files].map(file => ({file, name: file.name}))))
$('#folder').addEventListener('change', e => take([...e.target.files].map(
  file => ({file, name: file.webkitRelativePath || file.name, within: true}))))
$('#csv').addEventListener('click', csv)
$('#clear').addEventListener('click', () => {
  shots.splice(0)
  shown = 'all'
  $('#answers').replaceChildren()
  notice('')
  update()
})
try { $('#who').value = localStorage.getItem('who') ?? '' } catch { /* not allowed */ }
$('#who').addEventListener('change', e => { try { localStorage.setItem('who', e.target.value) } catch { /* not allowed */ } })

try {
  about = await ask('api/health')
  $('#about').textContent = `The run ${about.run} tells ${about.classes.length} classes apart: ${some(about.classes, 'and', 12)}.`
  if (about.coverage) $('#promise').textContent = `“Not sure between …” names every class that may be right: in ${percent(about.coverage)} of photographs like those of the run, the right one is among them.`
} catch { notice('The server does not answer; is it still running?') }
