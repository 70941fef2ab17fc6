// The reporter that `node --test-reporter` loads: the function that the guard has left for it.
// It is loaded while the guard waits, before the first byte of the repository runs.

const place = Symbol.for('regreen.reporter');
const report = globalThis[place];
delete globalThis[place];

export default report;
