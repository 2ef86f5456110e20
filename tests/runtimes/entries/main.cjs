// The same by require(), which must give the very module that import gives.
const assert = require("node:assert");
const { run } = require("./suite.cjs");
const required = require("@ferrite/edge");

(async () => {
  const imported = await import("@ferrite/edge");
  assert.strictEqual(required.FerriteError, imported.FerriteError);
  assert.strictEqual(required.initFerrite, imported.initFerrite);
  assert.strictEqual(required.default, imported.initFerrite);
  for (const entry of ["compressed", "lite"]) {
    const other = require(`@ferrite/edge/${entry}`);
    assert.strictEqual(other.FerriteError, imported.FerriteError);
    assert.strictEqual(other.default, other.initFerrite);
  }
  console.log(JSON.stringify(await run()));
})();
