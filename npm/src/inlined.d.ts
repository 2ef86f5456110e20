// scripts/build.js writes dist/inlined.js.
export declare const base64: string;
