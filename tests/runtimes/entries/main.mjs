// The suite as a program, its report on the standard output.
import initByDefault, { initFerrite } from "@ferrite/edge";
import { run } from "./suite.js";

if (initByDefault !== initFerrite) throw new Error("the default export is not initFerrite");
console.log(JSON.stringify(await run()));
