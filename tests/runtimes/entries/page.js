// The suite in a page, which leaves its report where the test looks for it.
import { run } from "./suite.js";
globalThis.report = await run();
