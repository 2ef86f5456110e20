# What every script shares: the root, the pinned versions, the PATH, and how progress is told.
# Sourced, never run. It changes nothing on disk; scripts/setup is what installs.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
tools=${FERRITE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/ferrite/tools}

# npm's tools are pinned by package-lock.json, the toolchain by rust-toolchain.toml, the rest here.
wasm_bindgen_version=0.2.130
wasm_pack_version=0.15.1
viceroy_version=0.22.0
worker_build_version=0.8.7
cargo_fuzz_version=0.13.2
deno_version=2.9.6
node_20_version=20.20.2
old_typescript_version=5.0.4
rust_version=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml")

# Node 22 comes from node_modules/.bin, before any other; npm ci runs on what was there before it,
# before the first of the scripts that call each other.
export FERRITE_PATH_BEFORE=${FERRITE_PATH_BEFORE:-$PATH}
path_before=$FERRITE_PATH_BEFORE
deno=$tools/deno-$deno_version
export PATH="$root/node_modules/.bin:$tools/bin:$deno/node_modules/.bin:$PATH"
export WRANGLER_SEND_METRICS=false WRANGLER_HIDE_BANNER=true CLOUDFLARE_CF_FETCH_ENABLED=false
export NEXT_TELEMETRY_DISABLED=1
# Where the machine's own Node is another, one of version 20 is beside the other tools.
export FERRITE_NODE_20=$tools/node-$node_20_version
# The oldest compiler that the types are made for.
export FERRITE_OLD_TYPESCRIPT=$tools/typescript-$old_typescript_version

# Clients of Redis that the server is tested with.
redis_py_version=8.1.0
ioredis_version=6.0.0
node_redis_version=6.3.1
redis_py=$tools/redis-py-$redis_py_version
node_clients=$tools/node-clients-$ioredis_version-$node_redis_version

# Where stable is the pinned version, it need not be there a second time under its number.
if [[ -z ${RUSTUP_TOOLCHAIN:-} ]] && command -v rustup >/dev/null &&
  ! rustup toolchain list | grep -q "^$rust_version" &&
  rustc +stable --version 2>/dev/null | grep -q "^rustc $rust_version "; then
  export RUSTUP_TOOLCHAIN=stable
fi

step() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { warn "${0##*/}: $*"; exit 1; }

# Prints the header of the calling script, which is its help.
help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# One number for the content of the given files and folders, named from the root. What was built or
# installed inside them is left out.
fingerprint() {
  (cd "$root" && find "$@" -name node_modules -prune -o -name dist -prune -o -name target -prune \
    -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
}

# fresh STAMP FINGERPRINT: whether the stamp file holds it, that is: the work was done for it.
fresh() { [[ -f $1 && $(<"$1") == "$2" ]]; }

# Where the dependencies of the Vercel example are, but for the package itself. npm ci cannot bring
# them, nor Deno: not every index has all the packages for other platforms that its lock file names.
next_folder() { printf '%s/next-%.16s' "$tools" "$(fingerprint examples-vercel/package.json)"; }

# Waits until no other script does the same work: two at once would tear each other's output.
alone() {
  command -v flock >/dev/null || return 0
  mkdir -p "$root/target"
  exec {lock}>"$root/target/.$1.lock"
  flock -n "$lock" || { say "waiting for another $1"; flock "$lock"; }
}
