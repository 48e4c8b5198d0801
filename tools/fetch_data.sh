#!/usr/bin/env bash
# Fetches a public data set from its official address, and checks it.
#   tools/fetch_data.sh cifar10|cifar100|mnist|fashion-mnist [FOLDER]        (default: data/NAME)
# Called again it goes on where it was stopped, or verifies what is there. What lies under its final name is whole.
# GRADSCAPE_DATA_URL names another place that holds the same files (a mirror; file:///media/stick/).
set -euo pipefail

fail() { echo "fetch_data: $*" >&2; exit 1; }
usage() { echo "usage: tools/fetch_data.sh cifar10|cifar100|mnist|fashion-mnist [FOLDER]" >&2; exit 2; }
[ $# -eq 1 ] || [ $# -eq 2 ] || usage
name=$1
folder=${2-data/$name}
[ -n "$folder" ] || usage
for program in curl md5sum tar; do command -v $program >/dev/null || fail "$program is not installed"; done

unpacked=""  # the folder in an archive
case $name in
  cifar10)
    url=https://www.cs.toronto.edu/~kriz
    unpacked=cifar-10-batches-bin
    files=(c32a1d4ab5d03f1284b67883e8d87530:cifar-10-binary.tar.gz) ;;
  cifar100)
    url=https://www.cs.toronto.edu/~kriz
    unpacked=cifar-100-binary
    files=(03b5dce01913d631647c71ecec9e9cb8:cifar-100-binary.tar.gz) ;;
  mnist)  # the authors' page asks for a login; this is the mirror of PyTorch, with their files
    url=https://ossci-datasets.s3.amazonaws.com/mnist
    files=(f68b3c2dcbeaaa9fbdd348bbdeb94873:train-images-idx3-ubyte.gz d53e105ee54ea40749a09fcbcd1e9432:train-labels-idx1-ubyte.gz
           9fb629c4189551a2d022fa330f9573f3:t10k-images-idx3-ubyte.gz ec29112dd5afa0611ce80d1b7f02629c:t10k-labels-idx1-ubyte.gz) ;;
  fashion-mnist)
    url=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
    files=(8d4fb7e6c68d591d4c3dfef9ec88bf0d:train-images-idx3-ubyte.gz 25c81989df183df01b3e8a0aad5dffbe:train-labels-idx1-ubyte.gz
           bef4ecab320f06d8554ea6380940ec79:t10k-images-idx3-ubyte.gz bb300cfdad3c16e7a12a480ee83cd310:t10k-labels-idx1-ubyte.gz) ;;
  *) usage ;;
esac
url=${GRADSCAPE_DATA_URL:-$url}

has_sum() { [ -f "$2" ] && [ "$(md5sum <"$2" | cut -d' ' -f1)" = "$1" ]; }

# Into NAME.part, which a later call continues; the final name is given to what has the checksum.
fetch() {  # fetch MD5 FILE
  local sum=$1 path=$folder/$2 code=0
  has_sum "$sum" "$path" && return 0
  if ! has_sum "$sum" "$path.part"; then
    echo "fetch_data: ${url%/}/$2"
    curl -fL --retry 3 --no-progress-meter -C - -o "$path.part" "${url%/}/$2" || code=$?
    # 33, 36: the server cannot continue; 22: nor where nothing is left (416). Once more from the beginning.
    if [ $code -ne 0 ] && [ -s "$path.part" ] && { [ $code -eq 33 ] || [ $code -eq 36 ] || [ $code -eq 22 ]; }; then
      rm -f "$path.part"
      code=0
      curl -fL --retry 3 --no-progress-meter -o "$path.part" "${url%/}/$2" || code=$?
    fi
    [ $code -eq 0 ] || fail "$2 could not be fetched (curl: $code); call it again to go on"
    if ! has_sum "$sum" "$path.part"; then
      rm -f "$path.part"
      fail "$2 is not the file of checksum $sum: it was deleted; call it again, or look what ${url%/} holds"
    fi
  fi
  mv "$path.part" "$path"
}

mkdir -p "$folder"
place=$folder
if [ -n "$unpacked" ]; then
  place=$folder/$unpacked
  if [ -d "$place" ] && ! (cd "$place" && md5sum --check --status MD5SUMS 2>/dev/null); then
    fail "$place is damaged, or was not unpacked by this script: move it away and call again"
  fi
fi
if [ -z "$unpacked" ] || [ ! -d "$place" ]; then
  for entry in "${files[@]}"; do fetch "${entry%%:*}" "${entry#*:}"; done
  if [ -n "$unpacked" ]; then
    archive=$folder/${files[0]#*:}
    begun=$(mktemp -d "$folder/.unpack.XXXXXX")
    trap 'rm -rf "$begun"' EXIT
    tar -xzf "$archive" -C "$begun" || fail "$archive cannot be unpacked"
    [ -d "$begun/$unpacked" ] || fail "$archive holds no folder $unpacked"
    (cd "$begun/$unpacked" && find . -type f ! -name MD5SUMS -exec md5sum {} + >MD5SUMS)
    mv "$begun/$unpacked" "$place"
    rm -f "$archive"
  fi
fi
source=$name
case $name in mnist | fashion-mnist) source=idx ;; esac
echo "$name is in $place: --data.source $source --data.path $place"
