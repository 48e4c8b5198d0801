#!/usr/bin/env bash
# Checks the executable of the preset `portable`: that it asks for nothing but glibc, that it computes the committed bits
# in a folder tree which holds only itself and glibc, and that the package unpacks to the same.
#   tools/portable_test.sh [BUILD_DIR]        (default: build/portable, built before)
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build/portable}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "portable_test.sh: $*" >&2; exit 1; }

# jailed FOLDER COMMAND...: with FOLDER as the root of all files. Without being root, as root of a user namespace.
jailed() {
  if [ "$(id -u)" -eq 0 ]; then chroot "$@"; else unshare --map-root-user chroot "$@"; fi
}

(cd "$build" && cpack -B "$scratch/package" >"$scratch/cpack.log") || { cat "$scratch/cpack.log"; fail "cpack failed"; }
tarball=$(echo "$scratch"/package/gradscape-*.tar.gz)
tar -xzf "$tarball" -C "$scratch"
package=$scratch/$(basename "$tarball" .tar.gz)
binary=$package/bin/gradscape
for file in README.md SECURITY.md LICENSE configs/quickstart.toml configs/paper/fig4.toml tools/plot_landscape.py tools/paper.sh \
            tools/gradscape/figures/cli.py tools/report.py tools/gradscape/report/page.js tools/gradscape/from_pytorch.py pyproject.toml docs/format.md; do
  [ -s "$package/$file" ] || fail "$file is not in the package"
done

needed=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort)
echo "needs: $(tr '\n' ' ' <<<"$needed")"
if others=$(grep -vxE '(libc|libm|libpthread|libdl|librt)\.so\.[0-9]+|ld-linux-x86-64\.so\.2' <<<"$needed"); then
  fail "it needs more than glibc: $others"
fi
if readelf -d "$binary" | grep -E 'RPATH|RUNPATH'; then fail "it looks for libraries where it was built"; fi
readelf -hW "$binary" | grep -q 'Type: *DYN' || fail "it is not position-independent"
readelf -lW "$binary" | grep -q GNU_RELRO || fail "its relocations stay writable"
readelf -dW "$binary" | grep -qE 'BIND_NOW|FLAGS.* NOW' || fail "it binds symbols when they are called"
readelf --dyn-syms -W "$binary" | grep -q __stack_chk_fail || fail "it has no stack protector"
echo "glibc: $(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1) or later"

jail=$scratch/jail
mkdir -p "$jail/tmp"
cp "$binary" "$jail/gradscape"
cp tests/signature.toml "$jail/signature.toml"
# What ldd names is what the loader would open: "name => path (address)" or "path (address)".
ldd "$binary" | grep -oE '/[^ ]+' | while read -r path; do install -D "$path" "$jail$path"; done
echo "in the empty root: $(cd "$jail" && find . -type f | sort | tr '\n' ' ')"
while read -r engine expected; do
  jailed "$jail" /gradscape run /signature.toml --out "/tmp/$engine" --train.engine "$engine" --threads 2 --quiet >/dev/null
  found=$(jailed "$jail" /gradscape info "/tmp/$engine" --digest)
  echo "signature of $engine: found $found, tests/signature.txt has $expected"
  [ "$found" = "$expected" ] || fail "the portable executable computes other bits"
done <tests/signature.txt
echo "portable: $(stat -c %s "$tarball") bytes of package, $(stat -c %s "$binary") of executable"
