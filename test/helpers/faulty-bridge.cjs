// The add-on, with a call that fails in its time: for tests of threads that die. Given to the
// program as BRIDGE_LIB; REAL_BRIDGE is the add-on, FAULTY_CALL names the call, FAULTY_AT the time it
// is made, from 1.
const real = require(process.env.REAL_BRIDGE)
const name = process.env.FAULTY_CALL
let calls = 0
module.exports = {
  ...real,
  [name](...args) {
    calls++
    if (calls === Number(process.env.FAULTY_AT)) throw new Error('made to fail')
    return real[name](...args)
  },
}
