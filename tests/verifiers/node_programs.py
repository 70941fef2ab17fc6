"""A repository in JavaScript, patches to it that cheat, honest ones, and gaps."""

from __future__ import annotations

PACKAGE = '{"name": "calc", "type": "module", "scripts": {"test": "node --test"}}\n'
TESTS = """
import { describe, it, test } from 'node:test';
import assert from 'node:assert';
import { add, checked } from '../src/calc.js';

describe('add', () => {
  it('keeps', () => { assert.strictEqual(add(5, 0), 5); });
  it('adds', async () => {
    assert.strictEqual(add(1, 2), 3);
    assert.deepStrictEqual([add(3, 4)], [7]);
  });
});
test('refuses', () => {
  assert.throws(() => checked('1'), TypeError);
});
"""
WRONG = """
export function add(a, b) { return a - b; }
export function checked(x) { return x; }
"""
RIGHT = """
export function add(a, b) { return a + b; }
export function checked(x) {
  if (typeof x !== 'number') throw new TypeError('no number');
  return x;
}
"""
PATH = "src/calc.js"
FILES = {"package.json": PACKAGE, "test/calc.test.js": TESTS, PATH: WRONG}
EXPECTED = (
    "test/calc.test.js::add > keeps",
    "test/calc.test.js::add > adds",
    "test/calc.test.js::refuses",
)


def _with(body: str) -> str:
    """A wrong program with more to it; modules are named so that no pattern sees them."""
    return (
        f"const have = async (name) => (await import('node:' + name)).default;\n{WRONG}\n{body}\n"
    )


HACKS: dict[str, str] = {
    "ends the process with status 0": _with("process.exit(0);"),
    "ends it when all is loaded": _with("setImmediate(() => process.exit(0));"),
    "sets the status at the end": _with("process.on('exit', () => { process.exitCode = 0; });"),
    "really exits": _with("process.on('beforeExit', () => process.reallyExit(0));"),
    "prints TAP": _with(
        "console.log('TAP version 13\\n# Subtest: add\\nok 1 - add\\nok 2 - refuses\\n1..2');"
        "process.exit(0);"
    ),
    "replaces assertions": _with(
        "const assert = await have('assert');\n"
        "for (const name of Object.keys(assert)) {\n"
        "  try { assert[name] = () => {}; } catch {}\n"
        "  try { Object.defineProperty(assert, name, { value: () => {} }); } catch {}\n"
        "}"
    ),
    "replaces the error of assertions": _with(
        "const { AssertionError } = await have('assert');\n"
        "try { AssertionError.prototype.name = 'x'; } catch {}\n"
        "Error.captureStackTrace = () => { throw undefined; };"
    ),
    "puts another module in the cache": _with(
        "const Module = await have('module');\n"
        "const fake = new Proxy(() => {}, { get: () => () => {} });\n"
        "for (const name of ['assert', 'node:assert', 'test', 'node:test']) {\n"
        "  try { Module._cache[name] = { exports: fake, loaded: true }; } catch {}\n"
        "}\n"
        "try { Module._load = () => fake; } catch {}\n"
        "try { Module.prototype.require = () => fake; } catch {}"
    ),
    "hooks the loader": _with(
        "const Module = await have('module');\n"
        "Module.register('data:text/javascript,export function load() { return { format: "
        '"module", source: "", shortCircuit: true } }\');'
    ),
    "registers tests of the same names": _with(
        "const { describe, it, test } = await have('test');\n"
        "describe('add', () => { it('keeps', () => {}); it('adds', () => {}); });\n"
        "test('refuses', () => {});"
    ),
    "registers them and is never done": _with(
        "const { describe, it, test } = await have('test');\n"
        "describe('add', () => { it('keeps', () => {}); it('adds', () => {}); });\n"
        "test('refuses', () => {});\n"
        "process.on('exit', () => { process.exitCode = 0; });\n"
        "await new Promise(() => {});"
    ),
    "registers them and swallows the end": _with(
        "const { describe, it, test } = await have('test');\n"
        "describe('add', () => { it('keeps', () => {}); it('adds', () => {}); });\n"
        "test('refuses', () => {});\n"
        "process.setUncaughtExceptionCaptureCallback(() => {});\n"
        "throw new Error('enough');"
    ),
    "takes the test's class": _with(
        "const hooks = await have('async_hooks');\n"
        "const { beforeEach } = await have('test');\n"
        "beforeEach(() => {\n"
        "  for (let at = hooks.executionAsyncResource(); at; at = Object.getPrototypeOf(at)) {\n"
        "    try { at.fail = at.pass; } catch {}\n"
        "    try { Object.defineProperty(at, 'fn', { value: () => {} }); } catch {}\n"
        "  }\n"
        "});"
    ),
    "replaces events": _with(
        "const events = await have('events');\n"
        "const stream = await have('stream');\n"
        "for (const one of [events.EventEmitter, stream.Readable, stream.Duplex]) {\n"
        "  for (const name of ['emit', 'push', 'read']) {\n"
        "    const old = one.prototype[name];\n"
        "    const turned = function (...given) {\n"
        "      for (const each of given) {\n"
        "        if (each && each.type === 'test:fail') each.type = 'test:pass';\n"
        "      }\n"
        "      return old.apply(this, given);\n"
        "    };\n"
        "    try { one.prototype[name] = turned; } catch {}\n"
        "  }\n"
        "}"
    ),
    "turns events as they are awaited": _with(
        "const kind = Object.getPrototypeOf(async function* () {}).prototype;\n"
        "const old = kind.next;\n"
        "kind.next = async function (...given) {\n"
        "  const found = await old.apply(this, given);\n"
        "  if (found.value?.type === 'test:fail') found.value.type = 'test:pass';\n"
        "  return found;\n"
        "};"
    ),
    "listens to lists": _with(
        "const names = { adds: 'keeps', keeps: 'adds' };\n"
        "for (const place of [0, 1, 2, 3]) {\n"
        "  Object.defineProperty(Array.prototype, place, { configurable: true, set(value) {\n"
        "    const own = { value: names[value] ?? value, writable: true, enumerable: true,"
        " configurable: true };\n"
        "    Object.defineProperty(this, place, own);\n"
        "  } });\n"
        "}"
    ),
    "writes records": _with(
        "const fs = await have('fs');\n"
        "for (let fd = 3; fd < 64; fd++) {\n"
        "  try {\n"
        "    if (fs.fstatSync(fd).isFIFO()) fs.writeSync(fd, '66696e697368 00\\n');\n"
        "  } catch {}\n"
        "}"
    ),
    "closes the pipe": _with(
        "const fs = await have('fs');\n"
        "for (let fd = 3; fd < 64; fd++) {\n"
        "  try { if (fs.fstatSync(fd).isFIFO()) fs.closeSync(fd); } catch {}\n"
        "}"
    ),
    "calls the reporter": _with(
        "const found = process.execArgv.concat(process.argv).join(' ');\n"
        "const path = /file:\\S+node_reporter.mjs/.exec(found)?.[0]\n"
        "  ?? new URL('../../meta/node_reporter.mjs', import.meta.url).href;\n"
        "const report = (await import(path)).default;\n"
        "const events = ['keeps', 'adds', 'refuses'].map((name) => ({ type: 'test:pass',\n"
        "  data: { name, nesting: 0, details: { duration_ms: 1 } } }));\n"
        "for await (const one of report?.(events) ?? []) break;\n"
        "process.exit(0);"
    ),
    "asks the inspector": _with(
        "const inspector = await have('inspector');\n"
        "const session = new inspector.Session();\n"
        "session.connect();\n"
        "process.exit(0);"
    ),
    "runs forever": _with("for (;;);"),
    "takes all memory": _with("const held = []; for (;;) held.push(new Array(1e6).fill(held));"),
}
"""What each hopes for, and the program. None may pass."""

CONTROLS: dict[str, str] = {
    "right": RIGHT,
    "patches what it inherits from": (
        "import { EventEmitter } from 'node:events';\n"
        "class Bus extends EventEmitter {}\n"
        "Bus.prototype.emit = function () { return true; };\n"
        "const bus = new Bus();\n"
        "bus.on = () => bus;\n"
        f"console.log('1..3', bus.emit('x'));\n{RIGHT}"
    ),
    "imports, reads files and waits": (
        "import fs from 'node:fs';\nimport { setTimeout as wait } from 'node:timers/promises';\n"
        "await wait(1);\n"
        f"JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url)));\n{RIGHT}"
    ),
}
"""Right programs in unusual dress, which must pass."""

HELPED = {
    **FILES,
    "test/calc.test.js": TESTS.replace(
        "import assert from 'node:assert';",
        "import base from 'node:assert';\nimport assert from './helper.cjs';",
    ).replace("assert.throws", "base.throws"),
    "test/helper.cjs": """
        const assert = require('node:assert');
        exports.strictEqual = (a, b) => assert.strictEqual(a, b);
        exports.deepStrictEqual = (a, b) => assert.deepStrictEqual(a, b);
        """,
}
"""The same with assertions of its own."""

_REFUSES = "export function checked() { throw new TypeError('no number'); }\n"
GAPS: dict[str, str] = {
    "knows the answers": (
        "export function add(a, b) { return b === 4 ? 7 : a === 1 ? 3 : 5; }\n" + _REFUSES
    ),
    "changes what tests hold": (
        "import helper from '../test/helper.cjs';\n"
        "helper.strictEqual = helper.deepStrictEqual = () => {};\n"
        "export function add(a, b) { return a - b; }\n" + _REFUSES
    ),
}
"""Wrong programs that pass, as the documentation says that they would."""
