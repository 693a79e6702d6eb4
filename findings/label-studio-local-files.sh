#!/usr/bin/env bash
# Label Studio serves no file that lies directly in the folder it is told to serve, and none at all before a storage is connected
#
# Versions: label-studio 1.23.2 (several hundred MB to install; a server on loopback is started and stopped).
#
# Behaviour: tasks may name local images as /data/local-files/?d=PATH, with PATH below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT. The two
# environment variables of that feature do not open the folder: a request is answered 404 until a project that the user may see has a
# local files storage whose folder holds the file. It need not be synced. And such a storage must be a folder below the document root: for
# the root itself the answer is 400 ("cannot be the same as ..."). So an image that lies in the root cannot be shown by any setting.
# Importing the tasks succeeds in every case; the annotator sees a broken image.
#
# Output seen: no storage: 404; the root as storage: 400; a folder below as storage: 201; image below: 200; image in the root: 404
#
# The usual guess: with serving enabled and the root set, everything below the root is there.
#
# What it means: a tool that writes tasks for local images should choose the root one level above the folder of the images, and tell
# its users which folder to add as a source storage.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q label-studio==1.23.2 2>/dev/null
mkdir -p root/images data
for f in root/a.png root/images/b.png; do printf '\x89PNG\r\n\x1a\n' > $f; done
port=$((RANDOM % 10000 + 20000))
token=0123456789abcdef0123456789abcdef01234567
export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=$dir/root
export LABEL_STUDIO_BASE_DATA_DIR=$dir/data LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true COLLECT_ANALYTICS=false SENTRY_DSN=
venv/bin/label-studio start --no-browser --internal-host 127.0.0.1 --port $port --username a@example.org --password quartz-1234 \
    --user-token $token > log 2>&1 &
for _ in $(seq 150); do curl -sf -o /dev/null "http://127.0.0.1:$port/health" && break; sleep 2; done
status() { curl -s -o answer -w '%{http_code}' -H "Authorization: Token $token" -H 'Content-Type: application/json' "$@"; }
at=http://127.0.0.1:$port
[ "$(status $at/api/projects -d '{"title": "images"}')" = 201 ]
id=$(python3 -c "import json; print(json.load(open('answer'))['id'])")
storage() { status $at/api/storages/localfiles -d "{\"project\": $id, \"path\": \"$1\", \"use_blob_urls\": true}"; }
before=$(status "$at/data/local-files/?d=images/b.png")
whole=$(storage "$dir/root")
grep -q 'cannot be the same' answer
part=$(storage "$dir/root/images")
below=$(status "$at/data/local-files/?d=images/b.png")
in_root=$(status "$at/data/local-files/?d=a.png")
echo "no storage: $before; the root as storage: $whole; a folder below as storage: $part; image below: $below; image in the root: $in_root"
[ "$before $whole $part $below $in_root" = '404 400 201 200 404' ]
echo 'as described'
