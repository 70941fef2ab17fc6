// What each Node process of a repository's suite runs first: node:test, watched, a record a step.
//
// This module is given to `node --import`. It shares its process with the candidate's code, so
// nothing here is out of that code's reach for good. It is made to be hard to reach: it runs before
// the first byte of the repository; what it needs later is held by this module's scope, which
// exports nothing; records are chained by hashes from a key that stood on standard input and is
// gone; and what could stand between a test's end and its record (assert, node:test, streams,
// promises, the module loader) is pinned: it can't be replaced any more. docs/repositories.md says
// what is left.
//
// Each record is a line of words in hexadecimal: kind, fields, and the chain's hash after it.
// Written for Node 18.19 and later.

import assert from 'node:assert';
import { AsyncResource, executionAsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import Module, { createRequire } from 'node:module';
import stream from 'node:stream';
import test from 'node:test';
import { inspect, types } from 'node:util';
import v8 from 'node:v8';
import { isMainThread } from 'node:worker_threads';

const DETAIL = 3000;
const VALUE = 300;
const KEY_BYTES = 32;
const ORDER_BYTES = 1 << 20;
const OWN_FILE = import.meta.url;

const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { isPromise } = types;
const Bytes = Uint8Array;
const Words = Uint32Array;
const Fault = TypeError;
const text = String;
const encode = Buffer.from;
const write = fs.writeSync;
const then = Promise.prototype.then;
const slice = String.prototype.slice;
const split = String.prototype.split;
const includes = String.prototype.includes;
const leave = process.reallyExit;
const host = process;
const HEX = '0123456789abcdef';
const [ROUNDS, START] = constants();

let emit;
let isLeftOut = null;
let isUp;

/** The first bits of the fractions of the primes' roots, of which SHA-256 is made (FIPS 180-4). */
function constants() {
  const rounds = new Uint32Array(64);
  const start = new Uint32Array(8);
  for (let number = 2, count = 0; count < 64; number++) {
    let divisor = 2;
    while (number % divisor) divisor++;
    if (divisor < number) continue;
    if (count < 8) start[count] = Math.floor((Math.sqrt(number) % 1) * 2 ** 32);
    rounds[count++] = Math.floor((Math.cbrt(number) % 1) * 2 ** 32);
  }
  return [rounds, start];
}

/** SHA-256 in plain arithmetic: node:crypto runs through objects that a candidate can alter. */
function sha256(data, size) {
  const length = (((size + 8) >> 6) + 1) << 6;
  const padded = new Bytes(length);
  for (let i = 0; i < size; i++) padded[i] = data[i];
  padded[size] = 0x80;
  for (let i = 0; i < 4; i++) padded[length - 1 - i] = ((size * 8) >>> (8 * i)) & 255;
  const hash = new Words(8);
  for (let i = 0; i < 8; i++) hash[i] = START[i];
  const w = new Words(64);
  for (let from = 0; from < length; from += 64) {
    for (let i = 0; i < 16; i++) {
      const at = from + 4 * i;
      w[i] = (padded[at] << 24) | (padded[at + 1] << 16) | (padded[at + 2] << 8) | padded[at + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
      const s1 = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let a = hash[0], b = hash[1], c = hash[2], d = hash[3];
    let e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    for (let i = 0; i < 64; i++) {
      const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
      const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0;
      d = c; c = b; b = a; a = (one + two) | 0;
    }
    hash[0] += a; hash[1] += b; hash[2] += c; hash[3] += d;
    hash[4] += e; hash[5] += f; hash[6] += g; hash[7] += h;
  }
  const result = new Bytes(32);
  for (let i = 0; i < 32; i++) result[i] = hash[i >> 2] >>> (24 - 8 * (i & 3));
  return result;
}

function turned(word, by) {
  return (word >>> by) | (word << (32 - by));
}

function hex(bytes, size) {
  let found = '';
  for (let i = 0; i < size; i++) found += HEX[bytes[i] >> 4] + HEX[bytes[i] & 15];
  return found;
}

/** A function that writes one record; each one's hash is made from a secret that it replaces. */
function channel(descriptor, key) {
  let state = key;
  return (words) => {
    let line = '';
    for (let i = 0; i < words.length; i++) {
      const bytes = encode(text(words[i]), 'utf8');
      line += (i ? ' ' : '') + (hex(bytes, bytes.length) || '-');
    }
    const size = line.length;
    const data = new Bytes(KEY_BYTES + size);
    const plain = encode(line, 'latin1');
    for (let i = 0; i < KEY_BYTES; i++) data[i] = state[i];
    for (let i = 0; i < size; i++) data[KEY_BYTES + i] = plain[i];
    state = sha256(data, KEY_BYTES + size);
    const record = encode(`${line} ${hex(state, 16)}\n`, 'latin1');
    try {
      for (let done = 0; done < record.length; ) done += write(descriptor, record, done);
    } catch {
      apply(leave, host, [97]);
    }
  };
}

/** Takes from an object that its functions can be replaced; what inherits from it may have others. */
function pin(object) {
  for (const name of ownKeys(object)) {
    const found = getOwnPropertyDescriptor(object, name);
    if (!found.configurable) continue;
    const refuse = (other) => { throw new Fault(`${text(name)} can't be replaced: ${typeof other}`); };
    if (!('value' in found)) {
      defineProperty(object, name, { ...found, set: found.set && refuse, configurable: false });
    } else if (typeof found.value === 'function') {
      const { value, enumerable } = found;
      defineProperty(object, name, {
        enumerable,
        configurable: false,
        get: () => value,
        set(other) {
          if (this === object) refuse(other);
          const own = { value: other, writable: true, enumerable: true, configurable: true };
          defineProperty(this, name, own);
        },
      });
    }
  }
}

function forbid(object, ...names) {
  for (const name of names) {
    if (object && name in object) {
      const value = () => { throw new Fault(`${name} is not to be had in a suite's process`); };
      defineProperty(object, name, { value, writable: false, configurable: false });
    }
  }
}

function pinMachinery() {
  const iterator = getPrototypeOf(getPrototypeOf((async function* () {})()));
  const kinds = ['Stream', 'Readable', 'Writable', 'Duplex', 'Transform', 'PassThrough'];
  for (const object of [
    assert, assert.strict, assert.AssertionError.prototype, test, EventEmitter.prototype,
    ...kinds.map((kind) => stream[kind].prototype), AsyncResource.prototype, Promise.prototype,
    iterator, getPrototypeOf(iterator), getPrototypeOf(Uint8Array.prototype), Uint8Array.prototype,
    Buffer.prototype,
  ]) {
    pin(object);
  }
  forbid(Module, 'register', 'registerHooks');
  for (const object of [Module, Module.prototype, Module._extensions]) pin(object);
  for (const name of Module.builtinModules) {
    // a cached module would be had in place of a builtin one
    const get = () => undefined;
    const set = () => { throw new Fault(`${name} can't be replaced`); };
    defineProperty(Module._cache, name, { get, set, enumerable: false, configurable: false });
  }
  forbid(process, 'binding', '_linkedBinding', 'dlopen');
  forbid(v8, 'setFlagsFromString', 'getHeapSnapshot', 'writeHeapSnapshot');
  try {
    const inspector = createRequire(import.meta.url)('node:inspector');
    forbid(inspector, 'open');
    forbid(inspector.Session.prototype, 'connect', 'connectToMainThread', 'post');
  } catch {
    // a Node without it
  }
  process.execArgv.length = 0; // children must not run this
}

/** A list that nothing else can listen to: an index of an array may be a setter of its prototype. */
function list() {
  return { __proto__: null, length: 0 };
}

function add(found, word) {
  found[found.length++] = word;
}

/** The names of a test and of what it is in, outermost first. */
function namesOf(one) {
  const found = list();
  for (let at = one; at && at.parent; at = at.parent) found.length++;
  let place = found.length;
  for (let at = one; at && at.parent; at = at.parent) found[--place] = text(at.name);
  return found;
}

function idOf(names) {
  let found = '';
  for (let i = 0; i < names.length; i++) found += (i ? ' > ' : '') + names[i];
  return found;
}

function told(kind, fields, names) {
  const words = list();
  add(words, kind);
  for (let i = 0; i < fields.length; i++) add(words, fields[i]);
  for (let i = 0; i < names.length; i++) add(words, names[i]);
  emit(words);
}

/** A function that says whether a test is not to be run; a test that others are in has to be. */
function chooser(only, without) {
  const chosen = { __proto__: null };
  const never = { __proto__: null };
  for (const id of without) never[id] = true;
  for (const id of only) {
    const names = id.split(' > ');
    for (let i = 1; i <= names.length; i++) chosen[names.slice(0, i).join(' > ')] = true;
  }
  const isAll = only.length === 0;
  return (id) => never[id] === true || !(isAll || chosen[id] === true);
}

/** Has each test say when its function begins, and how it was seen to end. */
function watch(Test) {
  const run = Test.run;
  Test.run = function (...given) {
    if (this.parent) {
      const names = namesOf(this);
      told('begin', [], names);
      this.fn = isLeftOut(idOf(names)) ? () => {} : watched(this.fn, names);
    }
    return apply(run, this, given);
  };
}

function watched(inner, names) {
  const fine = () => told('seen', ['fine'], names);
  const threw = () => told('seen', ['threw'], names);
  function outer(...given) {
    const last = given.length - 1;
    const done = given[last];
    if (last > 0 && typeof done === 'function') {
      given[last] = function (error, ...rest) {
        if (error) threw(); else fine();
        return apply(done, this, [error, ...rest]);
      };
      return apply(inner, this, given);
    }
    let result;
    try {
      result = apply(inner, this, given);
    } catch (error) {
      threw();
      throw error;
    }
    if (isPromise(result)) apply(then, result, [fine, threw]); else fine();
    return result;
  }
  defineProperty(outer, 'length', { value: inner.length });
  return outer;
}

function field(object, name) {
  const found = object && getOwnPropertyDescriptor(object, name);
  return found && found.value;
}

/** What failed, in words; it asks objects of the candidate's, which may do as they please. */
function explained(error) {
  try {
    const { cause = error } = error;
    if (cause === null || typeof cause !== 'object') return apply(slice, text(cause), [0, DETAIL]);
    let found = '';
    if (cause.code === 'ERR_ASSERTION' && 'actual' in cause) {
      const shown = (value) => apply(slice, inspect(value, { breakLength: Infinity }), [0, VALUE]);
      found = `actual: ${shown(cause.actual)}\nexpected: ${shown(cause.expected)}\n`;
    }
    const lines = apply(split, text(cause.stack ?? cause.message ?? cause), ['\n']);
    for (let i = 0; i < lines.length; i++) {
      const isOurs = apply(includes, lines[i], ['node:']) || apply(includes, lines[i], [OWN_FILE]);
      if (!isOurs) found += `${lines[i]}\n`;
    }
    return apply(slice, found, [0, DETAIL]);
  } catch {
    return 'failed; what with can\'t be told';
  }
}

function take(type, data, open) {
  const nesting = field(data, 'nesting');
  if (type === 'test:start') open[nesting] = text(field(data, 'name'));
  if (type !== 'test:pass' && type !== 'test:fail') return;
  const names = list();
  for (let i = 0; i < nesting; i++) add(names, open[i]);
  add(names, text(field(data, 'name')));
  const details = field(data, 'details');
  const error = field(details, 'error');
  const skip = field(data, 'skip') ?? false;
  const todo = field(data, 'todo') ?? false;
  const kind = error && error.failureType;
  let status = type === 'test:pass' ? 'passed' : kind === 'hookFailed' ? 'error' : 'failed';
  if (field(details, 'type') === 'suite') {
    if (status === 'passed' || kind === 'subtestsFailed') return;
    status = 'error';
  }
  if (skip !== false || isLeftOut(idOf(names))) status = 'skipped';
  else if (todo !== false) status = status === 'passed' ? 'xpassed' : 'xfailed';
  const seconds = Number(field(details, 'duration_ms') ?? 0) / 1000;
  told('test', [status, seconds.toFixed(6), error ? explained(error) : ''], names);
}

/** What node:test hands its events to: once, to the one that it sets up for the guard's test. */
async function* report(source) {
  if (!isUp) return;
  const up = isUp;
  isUp = null;
  up();
  const open = list();
  let isFirst = true; // the guard's own
  for await (const event of source) {
    const type = field(event, 'type');
    if (isFirst) {
      if (type === 'test:pass') isFirst = false;
    } else {
      take(type, field(event, 'data'), open);
    }
  }
  emit(['finish']);
}

function readOrder() {
  const data = Buffer.alloc(ORDER_BYTES);
  let size = 0;
  try {
    for (let more; (more = fs.readSync(0, data, size, data.length - size, null)); ) size += more;
  } catch {
    return null; // somebody else's process
  }
  if (size <= KEY_BYTES) return null;
  const key = new Bytes(KEY_BYTES);
  for (let i = 0; i < KEY_BYTES; i++) key[i] = data[i];
  const order = JSON.parse(data.toString('utf8', KEY_BYTES, size));
  data.fill(0);
  return { ...order, key };
}

const order = isMainThread ? readOrder() : null;
if (order) {
  emit = channel(order.descriptor, order.key);
  isLeftOut = chooser(order.only ?? [], order.without ?? []);
  const up = new Promise((resolve) => { isUp = resolve; });
  globalThis[Symbol.for('regreen.reporter')] = report;
  emit(['start', process.version]);
  await test('guard', (context) => {
    const own = executionAsyncResource();
    const Test = getPrototypeOf(own);
    if (typeof Test.run !== 'function' || typeof own.fn !== 'function') {
      emit(['foul', `this Node (${process.version}) runs tests in a way that is not known`]);
    } else {
      watch(Test);
      for (const object of [Test, getPrototypeOf(context)]) pin(object);
      if (own.reporter) pin(getPrototypeOf(own.reporter));
    }
  });
  await up;
  // where a file can't be loaded, node:test keeps the reason to itself
  process.on('uncaughtExceptionMonitor', (error) => emit(['note', explained({ cause: error })]));
  pinMachinery();
}
