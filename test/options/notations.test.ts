/** The small languages of option values: what they take and what they refuse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answerText,
  parseAddress,
  parseAnswer,
  parseBrokers,
  parseDeadLetters,
  parseHex,
  parseOutput,
  parsePair,
  parsePartitions,
  parseStart,
  startAt,
  dateSpanText,
  parseDateSpan,
  parseTopics,
  parseUrls,
} from '../../src/options/notations.ts'

test('addresses have a port, and a host where one is needed', () => {
  assert.deepEqual(parseAddress('0.0.0.0:8088'), { host: '0.0.0.0', port: 8088 })
  assert.deepEqual(parseAddress(':0'), { host: '', port: 0 })
  assert.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 })
  for (const text of ['', '8088', 'a:', 'a:65536', 'a:b', '::1:80', 'a b:1', 'http://a:1']) {
    assert.equal(parseAddress(text), undefined, text)
  }
  assert.deepEqual(parseBrokers('a, b:1,[::1]:2'), ['a:9092', 'b:1', '[::1]:2'])
  for (const text of ['', ',', 'a:1,', ':9092', 'a:0', 'a:1 b:2']) {
    assert.equal(parseBrokers(text), undefined, text)
  }
})

test('urls are http or https, without a query', () => {
  assert.deepEqual(parseUrls('http://a:1/, https://u:p@b/x'), ['http://a:1', 'https://u:p@b/x'])
  for (const text of [
    '',
    'a:9200',
    'ftp://a',
    'http://',
    'http://a?x=1',
    'http://a#x',
    'http://a/?',
    'http://a#',
  ]) {
    assert.equal(parseUrls(text), undefined, text)
  }
})

test('topics are names by the rules of Kafka or expressions', () => {
  assert.deepEqual(parseTopics('a, b.c_d-e,^logs-.*'), ['a', 'b.c_d-e', '^logs-.*'])
  for (const text of ['', 'a,', 'a b', '..', '^', '^(', 'a/b', 'x'.repeat(250)]) {
    assert.equal(parseTopics(text), undefined, text)
  }
})

test('a comma within the brackets of an expression does not end it', () => {
  const texts = ['a', '^x-[0-9]{1,2}$', String.raw`^(a|[),]|\(){2,3}`, '^b']
  assert.deepEqual(parseTopics(texts.join(', ')), texts)
  assert.equal(parseTopics('^(a,b'), undefined)
  assert.equal(parseTopics('a,c{1,2}'), undefined)
})

test('a start is a word or a time', () => {
  for (const text of ['latest', 'end']) assert.deepEqual(parseStart(text), { kind: 'latest' })
  for (const text of ['earliest', 'beginning']) {
    assert.deepEqual(parseStart(text), { kind: 'earliest' })
  }
  const timeMs = Date.parse('2026-09-01T00:00Z')
  assert.deepEqual(parseStart('2026-09-01'), { kind: 'time', timeMs })
  assert.deepEqual(parseStart('2026-09-01T02:00+02:00'), { kind: 'time', timeMs })
  const ago = parseStart('-1h')
  assert.deepEqual(ago, { kind: 'ago', ms: 3_600_000 })
  assert.deepEqual(startAt(ago!, timeMs), { kind: 'time', timeMs: timeMs - 3_600_000 })
  for (const text of ['', '-', 'soon', '2026-09-01T00:00', '-1 week']) {
    assert.equal(parseStart(text), undefined, text)
  }
})

test('hex is whole bytes in any of the usual spellings', () => {
  assert.equal(parseHex('DE ad:be'), 'deadbe')
  assert.equal(parseHex('0x0a'), '0a')
  for (const text of ['', '0', 'abc', 'zz', '0x']) assert.equal(parseHex(text), undefined, text)
})

test('partitions are numbers and ranges, each once and in order', () => {
  assert.deepEqual(parsePartitions('7-9,0,8'), [0, 7, 8, 9])
  for (const text of ['', 'a', '3-1', '-1', '0-999999999', '1,,2']) {
    assert.equal(parsePartitions(text), undefined, text)
  }
})

test('outputs and dead letters name their kind', () => {
  assert.deepEqual(parseOutput('file:/a:b'), { kind: 'file', path: '/a:b' })
  assert.deepEqual(parseOutput('-'), { kind: 'stdout' })
  assert.deepEqual(parseDeadLetters('topic:t'), { kind: 'topic', topic: 't' })
  for (const text of ['', 'file:', 'FILE:x', 'x', 'topic:t']) {
    assert.equal(parseOutput(text), undefined, text)
  }
  for (const text of ['topic:', 'topic:a b', 'stdout']) {
    assert.equal(parseDeadLetters(text), undefined, text)
  }
})

test('a pair is split at its first equals sign', () => {
  assert.deepEqual(parsePair('a=b=c'), ['a', 'b=c'])
  assert.deepEqual(parsePair('a='), ['a', ''])
  for (const text of ['', '=', '=a', 'a']) assert.equal(parsePair(text), undefined, text)
})

test('an answer is named by its error type or its status, with an action for it', () => {
  assert.deepEqual(parseAnswer('mapper_parsing_exception=dead-letter'), {
    answer: { errorType: 'mapper_parsing_exception' },
    action: 'dead-letter',
  })
  assert.deepEqual(parseAnswer('400=retry'), { answer: { status: 400 }, action: 'retry' })
  for (const text of ['a_b=hold', '409=duplicate', '404=drop']) {
    const read = parseAnswer(text)
    assert.equal(read && answerText(read), text)
  }
  const wrong = ['', '400', '400=', '400=indexed', '=drop', '99=drop', 'A b=drop', '4000=drop']
  for (const text of wrong) assert.equal(parseAnswer(text), undefined, text)
})

test('a span of dates is two durations, or off', () => {
  const [pastMs, futureMs] = [30 * 86_400_000, 86_400_000]
  assert.deepEqual(parseDateSpan('30d,1d'), { pastMs, futureMs })
  assert.deepEqual(parseDateSpan(' 720h , 86400000 '), { pastMs, futureMs })
  assert.equal(parseDateSpan('off'), 'off')
  assert.equal(dateSpanText({ pastMs, futureMs }), '30d,1d')
  assert.equal(dateSpanText({ pastMs: 90_000, futureMs: 1 }), '90s,1ms')
  for (const text of ['', '30d', '30d,', '30d,1d,1d', '-1d,1d', '30x,1d', '40000d,1d', 'no']) {
    assert.equal(parseDateSpan(text), undefined, text)
  }
})
